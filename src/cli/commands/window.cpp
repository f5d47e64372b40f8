#include "base/error.h"
#include "base/task_group.h"
#include "cli/commands/repository_option.h"
#include "cli/commands/source_option.h"
#include "cli/text.h"
#include "postgres/recovery/recovery_estimate.h"
#include "postgres/recovery/recovery_window.h"
#include "postgres/server/cluster_facts.h"
#include "postgres/server/connection.h"

#include <fmt/format.h>

namespace holdfast {

namespace {

struct Arguments {
    std::string repository;
    std::string source;
    std::string at;
};

// How much the server has that the archive has not.
struct Exposure {
    std::uint64_t bytes = 0;
    double seconds = 0; // since the last commit that is stored, when there is something newer
};

std::optional<Exposure> exposure_of(CommandContext& context, const SourceConfiguration& source,
                                    const postgres::RecoveryWindow& window) {
    if (source.connection.empty() || window.ranges.empty()) return std::nullopt;
    try {
        postgres::Connection connection({.conninfo = source.connection}, context.stop(), context.logger());
        const postgres::ClusterFacts facts =
            postgres::read_cluster_facts(connection, system_clock(), {}, context.stop());
        const postgres::RecoverableRange& newest = window.ranges.back();
        Exposure exposure;
        if (facts.position > newest.end) {
            exposure.bytes = facts.position - newest.end;
            exposure.seconds = std::chrono::duration<double>(system_clock().now() - newest.until).count();
        }
        return exposure;
    } catch (const Error& error) {
        context.logger().warning("the server was not asked how far it is", {{"reason", error.message()}});
        return std::nullopt;
    }
}

nlohmann::json to_json(const postgres::RecoveryWindow& window) {
    nlohmann::json ranges = nlohmann::json::array(), gaps = nlohmann::json::array(),
                   unusable = nlohmann::json::array();
    for (const postgres::RecoverableRange& range : window.ranges) {
        nlohmann::json snapshots = nlohmann::json::array();
        for (const RunId& id : range.snapshots) snapshots.push_back(id.hex());
        ranges.push_back({{"timeline", range.timeline},
                          {"from", to_rfc3339(range.from)},
                          {"until", to_rfc3339(range.until)},
                          {"begin_lsn", range.begin.str()},
                          {"end_lsn", range.end.str()},
                          {"snapshots", snapshots}});
    }
    for (const postgres::RecoveryGap& gap : window.gaps) {
        gaps.push_back({{"timeline", gap.timeline},
                        {"begin_lsn", gap.begin.str()},
                        {"end_lsn", gap.end.str()},
                        {"after", gap.after ? nlohmann::json(to_rfc3339(*gap.after)) : nlohmann::json()},
                        {"before", gap.before ? nlohmann::json(to_rfc3339(*gap.before)) : nlohmann::json()}});
    }
    for (const RunId& id : window.without_log) unusable.push_back(id.hex());
    return {{"ranges", ranges}, {"gaps", gaps}, {"snapshots_without_log", unusable}};
}

void print_window(const std::string& source, const postgres::RecoveryWindow& window) {
    if (window.ranges.empty()) fmt::print("Nothing of '{}' can be recovered\n", source);
    for (const postgres::RecoverableRange& range : window.ranges) {
        fmt::print("'{}' can be recovered to any moment from {} to {}\n", source, to_rfc3339(range.from),
                   to_rfc3339(range.until));
        fmt::print("  timeline {}, {} to {}, {}\n", range.timeline, range.begin.str(), range.end.str(),
                   counted(range.snapshots.size(), "snapshot"));
    }
    for (const postgres::RecoveryGap& gap : window.gaps) {
        fmt::print("Gap: the log from {} to {} on timeline {} is missing", gap.begin.str(), gap.end.str(),
                   gap.timeline);
        if (gap.after) fmt::print("; nothing after {}", to_rfc3339(*gap.after));
        if (gap.before) fmt::print(" and before {}", to_rfc3339(*gap.before));
        fmt::print(" can be had\n");
    }
    for (const RunId& id : window.without_log)
        fmt::print("Snapshot {} cannot be restored: its log is not all there\n", short_id(id.hex()));
}

int run_window(CommandContext& context, const Arguments& arguments) {
    const SourceConfiguration source = source_named(context, arguments.source, postgres::snapshot_kind);
    const OpenRepository open = context.open(arguments.repository);
    const postgres::RecoverySource from =
        postgres::load_recovery_source(*open.repository, source.name, {}, {.stop = context.stop()});
    const postgres::RecoveryWindow window = postgres::recovery_window(from);
    nlohmann::json value = to_json(window);
    std::optional<postgres::RecoveryPlan> plan;
    std::optional<postgres::RecoveryEstimate> estimate;
    if (!arguments.at.empty()) {
        plan = postgres::plan_recovery(from, {.target = postgres::RecoverToTime{from_rfc3339(arguments.at)}});
        value["plan"] = {{"snapshot", plan->snapshot.id.hex()},
                         {"snapshot_bytes", plan->snapshot_bytes},
                         {"log_bytes", plan->log_bytes},
                         {"timeline", plan->timeline}};
        estimate = estimate_recovery(from, *plan, plan->snapshot_bytes, worker_count(), system_clock());
        if (estimate) {
            value["plan"]["estimated_seconds"] = estimate->seconds();
            value["plan"]["estimated_restore_seconds"] = estimate->restore_seconds;
            value["plan"]["estimated_replay_seconds"] = estimate->replay_seconds;
        }
    }
    const std::optional<Exposure> exposure = exposure_of(context, source, window);
    if (exposure) value["exposure"] = {{"bytes", exposure->bytes}, {"seconds", exposure->seconds}};
    context.print(value, [&] {
        print_window(source.name, window);
        if (exposure && exposure->bytes == 0) fmt::print("All that the server has written is stored\n");
        if (exposure && exposure->bytes > 0)
            fmt::print("Not stored yet: {} of log, {} since the last commit that is\n",
                       format_bytes(exposure->bytes), format_duration(exposure->seconds));
        if (plan) {
            fmt::print("To {}: snapshot {} of {} ({}), then {} of log on timeline {}\n", arguments.at,
                       short_id(plan->snapshot.id.hex()), local_time(plan->snapshot.end),
                       format_bytes(plan->snapshot_bytes), format_bytes(plan->log_bytes), plan->timeline);
            if (estimate)
                fmt::print("  about {}: {} for the files, {} for the log\n",
                           format_duration(estimate->seconds()), format_duration(estimate->restore_seconds),
                           format_duration(estimate->replay_seconds));
            for (const std::string& note : plan->notes) fmt::print("  {}\n", note);
        }
    });
    return window.ranges.empty() || !window.gaps.empty() || !window.without_log.empty() ? exit_incomplete
                                                                                        : exit_done;
}

} // namespace

void add_window(CLI::App& app, RunCommand& run) {
    auto a = std::make_shared<Arguments>();
    CLI::App* command = app.add_subcommand("window", "Show to which moments a source can be recovered");
    add_repository_option(*command, a->repository);
    command->add_option("SOURCE", a->source, "Name of the source")->required();
    command->add_option("--at", a->at, "Also what a recovery to this time would use");
    command->callback([a, &run] { run = [a](CommandContext& context) { return run_window(context, *a); }; });
}

} // namespace holdfast
