#include "cli/commands/restore_source_parts.h"
#include "cli/fields.h"
#include "cli/say.h"
#include "cli/text.h"
#include "service/bytes_json.h"
#include "service/window_json.h"

#include <algorithm>

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
    value["target"] = postgres::describe(plan.requested);
    value["notes"] = result.notes;
    value["planned_notes"] = result.planned_notes;
    nlohmann::json forks = nlohmann::json::array();
    for (const postgres::LogFork& fork : plan.forks) forks.push_back(to_json(fork));
    value["forks"] = forks;
    value["plan_seconds"] = result.plan_seconds;
    value["restore_seconds"] = result.restore_seconds;
    if (result.estimate) {
        value["estimated_seconds"] = result.estimate->seconds();
        value["estimated_restore_seconds"] = result.estimate->restore_seconds;
        value["estimated_replay_seconds"] = result.estimate->replay_seconds;
    }
    nlohmann::json left_out = nlohmann::json::array(), tablespaces = nlohmann::json::array();
    for (const postgres::SnapshotDatabase& database : result.left_out)
        set_bytes(left_out.emplace_back(nlohmann::json{{"oid", database.oid}}), "name", database.name);
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
        value["deleted"] = result.restored->files.deleted;
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

void print_started(const nlohmann::json& value) {
    const std::string last = text_in(value, "last_transaction");
    say("  started in {:.2f} s, recovered in {:.2f} s, ready in {:.2f} s{}\n",
        real_in(value, "start_seconds"), real_in(value, "recovery_seconds"), real_in(value, "ready_seconds"),
        last.empty() ? "" : "; last transaction: " + last);
    for (const nlohmann::json& raised : list_in(value, "raised_settings"))
        say("  {} had to be {}, as the original had it later; put it into the configuration\n",
            raised.at(0).get<std::string>(), raised.at(1).get<std::string>());
    if (flag_in(value, "running")) {
        say("Connect with: psql '{}'\n", text_in(value, "connection"));
    } else {
        say("It has shut down at its target; {} says more.\n", text_in(value, "log_file"));
    }
}

void print_restored(const nlohmann::json& value) {
    say("Restored '{}' to {}\n", text_in(value, "source"), text_in(value, "target"));
    const std::string directory = text_in(value, "data_directory");
    if (!directory.empty()) {
        say("  {} in {}, {} written in {:.2f} s, in {}\n", counted(number_in(value, "files"), "file"),
            format_bytes(number_in(value, "bytes")), format_bytes(number_in(value, "written_bytes")),
            real_in(value, "restore_seconds"), directory);
        if (const std::uint64_t deleted = number_in(value, "deleted"); deleted > 0)
            say("  deleted {} that the snapshot does not have\n", counted(deleted, "entry", "entries"));
    }
    // Those of the plan are said already.
    const std::vector<std::string> notes = texts_in(value, "notes");
    for (std::size_t i = number_in(value, "planned_notes"); i < notes.size(); ++i) say("  {}\n", notes[i]);
    if (has(value, "connection")) return print_started(value);
    say("Start it with pg_ctl -D {} start: it recovers by itself.\n", directory);
}

} // namespace

nlohmann::json plan_json(const SourceRestoreTarget& target, const PostgresRestoreResult& plan) {
    nlohmann::json value = {{"source", target.source}, {"dry_run", target.dry_run}};
    add_result(value, plan);
    return value;
}

nlohmann::json report_json(const SourceRestoreTarget& target, const SourceRestoreReport& report) {
    nlohmann::json value = {{"source", target.source}, {"dry_run", target.dry_run}};
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
        protect["receive"] = report.protect->receive;
        nlohmann::json& checks = protect["checks"] = nlohmann::json::array();
        for (const postgres::Check& check : report.protect->checks) {
            checks.push_back({{"check", check.name},
                              {"state", postgres::to_string(check.state)},
                              {"found", check.found},
                              {"mend", check.mend}});
        }
    }
    value["creator"] = report.creator;
    value["tags"] = report.tags;
    if (report.expires) value["expires"] = to_rfc3339(*report.expires);
    value["problems"] = report.problems;
    return value;
}

void print_plan(const nlohmann::json& value) {
    say("{} '{}' to {}\n", flag_in(value, "dry_run") ? "Would restore" : "Restoring",
        text_in(value, "source"), text_in(value, "target"));
    say("  snapshot {} of {}, {}; then {} of log on timeline {}\n", short_id_in(value, "snapshot"),
        local_time_in(value, "snapshot_time"), format_bytes(number_in(value, "restore_bytes")),
        format_bytes(number_in(value, "log_bytes")), number_in(value, "timeline"));
    if (has(value, "estimated_seconds"))
        say("  about {}: {} for the files, {} for the log\n",
            format_duration(real_in(value, "estimated_seconds")),
            format_duration(real_in(value, "estimated_restore_seconds")),
            format_duration(real_in(value, "estimated_replay_seconds")));
    if (has(value, "last_commit")) say("  last commit: {}\n", text_in(value, "last_commit"));
    std::vector<std::string> notes = texts_in(value, "notes");
    notes.resize(std::min<std::size_t>(notes.size(), number_in(value, "planned_notes")));
    for (const std::string& note : notes) say("  {}\n", note);
    std::fflush(stdout);
}

void print_report(const nlohmann::json& value) {
    if (flag_in(value, "restarted"))
        say("The server of '{}' answers again: nothing was restored\n", text_in(value, "source"));
    if (has(value, "target") && !flag_in(value, "dry_run")) print_restored(value);
    for (const auto& [name, text] : list_in(value, "tags").items())
        say("  {}={}\n", name, text.get<std::string>());
    if (has(value, "expires")) {
        say("  to be removed after {}, by: holdfast instances --remove-expired\n",
            local_time_in(value, "expires"));
    }
}

void print_protection(const ProtectedSource& protect, const std::string& name) {
    for (const postgres::SetupStep& step : protect.setup.steps) {
        if (step.state == postgres::SetupState::present) continue;
        say("  {}: {}{}{}\n", step.what, to_string(step.state), step.remark.empty() ? "" : ": ", step.remark);
    }
    if (protect.configuration_file.empty()) {
        fmt::print("Add this to holdfast.toml:\n\n{}\n", protect.section);
    } else {
        say("  [source.{}] is in {}\n", name, protect.configuration_file);
    }
    say("Protected as '{}': snapshot {} of {}\n", name, short_id(protect.snapshot.id.hex()),
        format_bytes(protect.snapshot.totals.bytes));
    if (!protect.setup.restart_for.empty())
        say("Restart the server for: {}\n", fmt::join(protect.setup.restart_for, ", "));
    for (const postgres::Check& check : protect.checks) {
        if (check.state == postgres::CheckState::warning)
            say("  {}: {}{}{}\n", check.name, check.found, check.mend.empty() ? "" : "; ", check.mend);
    }
    std::string command;
    for (const std::string& word : protect.receive)
        command += fmt::format("{}{}", command.empty() ? "" : " ", shell_word(word));
    say("Left to do: receive its log, as a service: {}\n", command);
}

} // namespace holdfast
