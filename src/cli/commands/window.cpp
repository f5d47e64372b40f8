#include "base/error.h"
#include "base/task_group.h"
#include "cli/commands/repository_option.h"
#include "cli/commands/source_option.h"
#include "cli/commands/window_output.h"
#include "cli/text.h"
#include "postgres/receive/receive_wal.h"
#include "postgres/recovery/recovery_estimate.h"
#include "postgres/recovery/recovery_window.h"
#include "service/exposure.h"
#include "service/window_json.h"

#include <fmt/format.h>

namespace holdfast {

namespace {

struct Arguments {
    std::string repository;
    std::string source;
    std::string at;
};

double seconds_since(Timestamp time) {
    return std::chrono::duration<double>(system_clock().now() - time).count();
}

void print_exposure(const Exposure& exposure, const postgres::RecoveryWindow& window) {
    if (exposure.known && exposure.known->bytes == 0)
        return fmt::print("All that the server has written is stored\n");
    if (exposure.known) {
        return fmt::print("Not stored yet: {} of log, {} since the last commit that is\n",
                          format_bytes(exposure.known->bytes),
                          format_duration(seconds_since(exposure.known->since)));
    }
    const auto latest = window.latest();
    fmt::print("What is not stored yet is not known: {}{}\n", exposure.unknown,
               latest ? fmt::format("; it is what was committed in the {} since the last commit that is, at "
                                    "most",
                                    format_duration(seconds_since(*latest)))
                      : std::string());
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
    std::optional<Exposure> exposure;
    if (!source.connection.empty()) {
        exposure = measure_exposure(source.connection, *open.repository, from, window, context.stop());
        add_exposure(value, *exposure, system_clock().now());
    }
    const auto receiver = receiver_of(context, source, arguments.repository);
    if (receiver) add_receiver(value, *receiver);
    context.print(value, [&] {
        print_window(source.name, window);
        if (receiver) print_receiver(*receiver);
        if (exposure) print_exposure(*exposure, window);
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
