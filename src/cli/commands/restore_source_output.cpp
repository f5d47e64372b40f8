#include "cli/commands/restore_source_parts.h"
#include "cli/text.h"
#include "service/window_json.h"

#include <fmt/format.h>

namespace holdfast {

namespace {

nlohmann::json steps_json(const std::vector<LadderStep>& steps) {
    nlohmann::json all = nlohmann::json::array();
    for (const LadderStep& step : steps)
        all.push_back({{"step", step.what},
                       {"done", step.why_not.empty()},
                       {"why_not", step.why_not},
                       {"seconds", step.seconds}});
    return all;
}

void add_result(nlohmann::json& value, const PostgresRestoreResult& result) {
    const postgres::RecoveryPlan& plan = result.plan;
    value["snapshot"] = plan.snapshot.id.hex();
    value["snapshot_time"] = to_rfc3339(plan.snapshot.end);
    value["snapshot_bytes"] = plan.snapshot_bytes;
    value["restore_bytes"] = result.restore_bytes;
    value["log_bytes"] = plan.log_bytes;
    value["timeline"] = plan.timeline;
    value["target"] = postgres::describe(plan.target);
    value["notes"] = result.notes;
    nlohmann::json forks = nlohmann::json::array();
    for (const postgres::LogFork& fork : plan.forks) forks.push_back(to_json(fork));
    value["forks"] = forks;
    value["plan_seconds"] = result.plan_seconds;
    value["restore_seconds"] = result.restore_seconds;
    if (result.estimate) value["estimated_seconds"] = result.estimate->seconds();
    nlohmann::json left_out = nlohmann::json::array(), tablespaces = nlohmann::json::array();
    for (const postgres::SnapshotDatabase& database : result.left_out)
        left_out.push_back({{"oid", database.oid}, {"name", database.name}});
    for (const postgres::TablespaceLocation& place : result.tablespaces)
        tablespaces.push_back({{"oid", place.oid}, {"path", place.path}});
    value["databases_left_out"] = left_out;
    value["tablespaces"] = tablespaces;
    if (plan.last_commit) value["last_commit"] = to_rfc3339(*plan.last_commit);
    if (result.restored) {
        value["data_directory"] = result.restored->data_directory;
        value["files"] = result.restored->files.files;
        value["bytes"] = result.restored->files.bytes;
        value["written_bytes"] = result.restored->files.written_bytes;
    }
    if (!result.started) return;
    const postgres::StartedCluster& started = *result.started;
    value["running"] = started.process != 0;
    value["connection"] = started.connection;
    value["log_file"] = started.log_file;
    value["writable"] = started.writable;
    value["new_timeline"] = started.timeline;
    value["recovered_to"] = started.recovered_to.str();
    value["last_transaction"] = started.last_commit;
    value["start_seconds"] = started.start_seconds;
    value["recovery_seconds"] = started.recovery_seconds;
    value["ready_seconds"] = started.ready_seconds;
    if (!started.raised.empty()) value["raised_settings"] = started.raised;
}

void print_protection(const SourceRestoreTarget& target, const ProtectedSource& protect,
                      const std::string& name) {
    for (const postgres::SetupStep& step : protect.setup.steps) {
        if (step.state == postgres::SetupState::present) continue;
        fmt::print("  {}: {}{}{}\n", step.what, to_string(step.state), step.remark.empty() ? "" : ": ",
                   step.remark);
    }
    if (protect.configuration_file.empty()) {
        fmt::print("Add this to holdfast.toml:\n\n{}\n", protect.section);
    } else {
        fmt::print("  [source.{}] is in {}\n", name, protect.configuration_file);
    }
    fmt::print("Protected as '{}': snapshot {} of {}\n", name, short_id(protect.snapshot.id.hex()),
               format_bytes(protect.snapshot.totals.bytes));
    if (!protect.setup.restart_for.empty())
        fmt::print("Restart the server for: {}\n", fmt::join(protect.setup.restart_for, ", "));
    fmt::print("Left to do: receive its log, with: holdfast wal receive {}{}\n",
               target.repository.empty() ? "" : fmt::format("--repo {} ", target.repository), name);
}

void print_restored(const SourceRestoreTarget& target, const PostgresRestoreResult& result) {
    if (target.dry_run) return;
    fmt::print("Restored '{}' to {}\n", target.source, postgres::describe(result.plan.target));
    if (result.restored) {
        fmt::print("  {} in {}, {} written in {:.2f} s, in {}\n",
                   counted(result.restored->files.files, "file"), format_bytes(result.restored->files.bytes),
                   format_bytes(result.restored->files.written_bytes), result.restore_seconds,
                   result.restored->data_directory);
    }
    // Those of the plan are said already.
    for (std::size_t i = result.planned_notes; i < result.notes.size(); ++i)
        fmt::print("  {}\n", result.notes[i]);
    if (!result.started) {
        fmt::print("Start it with pg_ctl -D {} start: it recovers by itself.\n",
                   result.restored->data_directory);
        return;
    }
    const postgres::StartedCluster& started = *result.started;
    fmt::print("  started in {:.2f} s, recovered in {:.2f} s, ready in {:.2f} s{}\n", started.start_seconds,
               started.recovery_seconds, started.ready_seconds,
               started.last_commit.empty() ? "" : "; last transaction: " + started.last_commit);
    for (const auto& [name, value] : started.raised)
        fmt::print("  {} had to be {}, as the original had it later; put it into the configuration\n", name,
                   value);
    if (started.process == 0) {
        fmt::print("It has shut down at its target; {} says more.\n", started.log_file);
    } else {
        fmt::print("Connect with: psql '{}'\n", started.connection);
    }
}

} // namespace

nlohmann::json report_json(const SourceRestoreReport& report) {
    nlohmann::json value = nlohmann::json::object();
    if (report.result) add_result(value, *report.result);
    if (!report.ladder.steps.empty()) {
        value["steps"] = steps_json(report.ladder.steps);
        value["restarted"] = report.ladder.restarted;
    }
    if (report.protect) {
        nlohmann::json& protect = value["protected"];
        protect["section"] = report.protect->section;
        protect["configuration_file"] = report.protect->configuration_file;
        protect["snapshot"] = report.protect->snapshot.id.hex();
        protect["restart_for"] = report.protect->setup.restart_for;
    }
    value["creator"] = report.creator;
    value["tags"] = report.tags;
    if (report.expires) value["expires"] = to_rfc3339(*report.expires);
    value["problems"] = report.problems;
    return value;
}

void print_plan(const SourceRestoreTarget& target, const PostgresRestoreResult& result) {
    const postgres::RecoveryPlan& plan = result.plan;
    fmt::print("{} '{}' to {}\n", target.dry_run ? "Would restore" : "Restoring", target.source,
               postgres::describe(plan.target));
    fmt::print("  snapshot {} of {}, {}; then {} of log on timeline {}\n", short_id(plan.snapshot.id.hex()),
               local_time(plan.snapshot.end), format_bytes(result.restore_bytes),
               format_bytes(plan.log_bytes), plan.timeline);
    if (result.estimate)
        fmt::print("  about {}: {} for the files, {} for the log\n",
                   format_duration(result.estimate->seconds()),
                   format_duration(result.estimate->restore_seconds),
                   format_duration(result.estimate->replay_seconds));
    if (plan.last_commit) fmt::print("  last commit: {}\n", to_rfc3339(*plan.last_commit));
    for (const std::string& note : result.notes) fmt::print("  {}\n", note);
    std::fflush(stdout);
}

void print_report(const SourceRestoreTarget& target, const SourceRestoreReport& report) {
    if (report.ladder.restarted)
        fmt::print("The server of '{}' answers again: nothing was restored\n", target.source);
    if (report.result) print_restored(target, *report.result);
    for (const auto& [name, value] : report.tags) fmt::print("  {}={}\n", name, value);
    if (report.expires) {
        fmt::print("  to be removed after {}, by: holdfast instances --remove-expired\n",
                   local_time(*report.expires));
    }
    if (report.protect) print_protection(target, *report.protect, report.protected_as);
}

} // namespace holdfast
