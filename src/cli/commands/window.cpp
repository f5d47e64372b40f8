#include "base/error.h"
#include "base/task_group.h"
#include "cli/commands/repository_option.h"
#include "cli/commands/source_option.h"
#include "cli/commands/window_output.h"
#include "cli/text.h"
#include "postgres/receive/receive_wal.h"
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

// What a receiver on this machine says of itself; nothing when there was none.
std::optional<postgres::ReceiveState>
receiver_of(const CommandContext& context, const SourceConfiguration& source, const std::string& repository) {
    try {
        return postgres::read_receive_state(
            postgres::receive_state_path(spool_directory_of(context, source, repository)));
    } catch (const Error&) {
        return std::nullopt; // it has no place here, or is another user's
    }
}

void print_receiver(const postgres::ReceiveState& state) {
    if (state.phase != "streaming" || !state.alarms.empty())
        fmt::print("The receiver here: {}, at {}\n", state.phase, to_rfc3339(state.time));
    for (const std::string& alarm : state.alarms) fmt::print("  Alarm: {}\n", alarm);
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
    const auto receiver = receiver_of(context, source, arguments.repository);
    if (receiver) value["receiver"] = nlohmann::json::parse(postgres::to_json_text(*receiver));
    context.print(value, [&] {
        print_window(source.name, window);
        if (receiver) print_receiver(*receiver);
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
    return window.ranges.empty() || !window.unbroken() ? exit_incomplete : exit_done;
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
