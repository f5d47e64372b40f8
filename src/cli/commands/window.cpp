#include "base/error.h"
#include "base/task_group.h"
#include "cli/commands/repository_option.h"
#include "cli/commands/source_option.h"
#include "cli/commands/window_output.h"
#include "cli/fields.h"
#include "cli/say.h"
#include "client/api_client.h"
#include "postgres/receive/receive_wal.h"
#include "postgres/recovery/recovery_estimate.h"
#include "postgres/recovery/recovery_window.h"
#include "service/exposure.h"
#include "service/window_json.h"

#include <algorithm>

#include <fmt/format.h>

namespace holdfast {

namespace {

using nlohmann::json;

struct Arguments {
    std::string repository;
    std::string source;
    std::string at;
};

double seconds_since(Timestamp time) {
    return std::max(0.0, std::chrono::duration<double>(system_clock().now() - time).count());
}

// The end of the newest range; nothing when there is none.
std::optional<Timestamp> latest_in(const json& window) {
    std::optional<Timestamp> latest;
    for (const json& range : list_in(window, "ranges")) latest = std::max(latest, time_in(range, "until"));
    return latest;
}

void print_exposure(const json& window) {
    if (has(window, "exposure")) {
        const json& exposure = list_in(window, "exposure");
        if (number_in(exposure, "bytes") == 0) return say("All that the server has written is stored\n");
        const std::string bytes = format_bytes(number_in(exposure, "bytes")),
                          bound = text_in(exposure, "bound");
        if (!has(exposure, "since"))
            return say("Every commit is stored; not stored yet: {} of log without one\n", bytes);
        // What a server says was so when it looked.
        const auto measured = time_in(window, "measured");
        const std::string age =
            format_duration(real_in(exposure, "seconds") + (measured ? seconds_since(*measured) : 0));
        if (bound.empty())
            return say("Not stored yet: {} of log; its oldest commit was made {} ago\n", bytes, age);
        return say("Not stored yet: {} of log, with commits of the last {} at most: {}\n", bytes, age, bound);
    }
    if (!has(window, "exposure_unknown")) return;
    const auto latest = latest_in(window);
    say("What is not stored yet is not known: {}{}\n", text_in(window, "exposure_unknown"),
        latest ? fmt::format("; it is what was committed in the {} since the last commit that is, at "
                             "most",
                             format_duration(seconds_since(*latest)))
               : std::string());
}

void print_receiver(const json& window) {
    const json& receiver = list_in(window, "receiver");
    const std::vector<std::string> alarms = texts_in(receiver, "alarms");
    const std::string phase = text_in(receiver, "phase");
    if (!receiver.empty() && (phase != "streaming" || !alarms.empty()))
        say("The receiver here: {}, at {}\n", phase, text_in(receiver, "time"));
    for (const std::string& alarm : alarms) say("  Alarm: {}\n", alarm);
}

void print_plan(const std::string& at, const json& plan) {
    say("To {}: snapshot {} of {} ({}), then {} of log on timeline {}\n", at, short_id_in(plan, "snapshot"),
        local_time_in(plan, "snapshot_time"), format_bytes(number_in(plan, "snapshot_bytes")),
        format_bytes(number_in(plan, "log_bytes")), number_in(plan, "timeline"));
    if (has(plan, "estimated_seconds"))
        say("  about {}: {} for the files, {} for the log\n",
            format_duration(real_in(plan, "estimated_seconds")),
            format_duration(real_in(plan, "estimated_restore_seconds")),
            format_duration(real_in(plan, "estimated_replay_seconds")));
    for (const std::string& note : texts_in(plan, "notes")) say("  {}\n", note);
}

int tell_window(CommandContext& context, const Arguments& arguments, const json& window) {
    context.print(window, [&] {
        print_window(arguments.source, window);
        print_receiver(window);
        print_exposure(window);
        if (has(window, "plan")) print_plan(arguments.at, list_in(window, "plan"));
    });
    const bool unbroken = list_in(window, "gaps").empty() && list_in(window, "missing_histories").empty() &&
                          list_in(window, "snapshots_without_log").empty();
    return list_in(window, "ranges").empty() || !unbroken ? exit_incomplete : exit_done;
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

int run_window(CommandContext& context, const Arguments& arguments) {
    const SourceConfiguration source = source_named(context, arguments.source, postgres::snapshot_kind);
    const OpenRepository open = context.open(arguments.repository);
    const postgres::RecoverySource from =
        postgres::load_recovery_source(*open.repository, source.name, {}, {.stop = context.stop()});
    const postgres::RecoveryWindow window = postgres::recovery_window(from);
    json value = to_json(window);
    if (!arguments.at.empty()) {
        const postgres::RecoveryPlan plan =
            postgres::plan_recovery(from, {.target = postgres::RecoverToTime{from_rfc3339(arguments.at)}});
        json& planned = value["plan"];
        planned = {{"snapshot", plan.snapshot.id.hex()},
                   {"snapshot_time", to_rfc3339(plan.snapshot.end)},
                   {"snapshot_bytes", plan.snapshot_bytes},
                   {"log_bytes", plan.log_bytes},
                   {"timeline", plan.timeline},
                   {"notes", plan.notes}};
        const auto estimate =
            estimate_recovery(from, plan, plan.snapshot_bytes, worker_count(), system_clock());
        if (estimate) {
            planned["estimated_seconds"] = estimate->seconds();
            planned["estimated_restore_seconds"] = estimate->restore_seconds;
            planned["estimated_replay_seconds"] = estimate->replay_seconds;
        }
    }
    if (!source.connection.empty()) {
        const Exposure exposure = measure_exposure({source.connection, source.data_directory},
                                                   *open.repository, from, window, context.stop());
        add_exposure(value, exposure, exposure.seconds(system_clock().now()));
    }
    const auto receiver = receiver_of(context, source, arguments.repository);
    if (receiver) add_receiver(value, *receiver);
    return tell_window(context, arguments, value);
}

int window_at_server(CommandContext& context, const Arguments& arguments) {
    ApiQuery query;
    if (!arguments.at.empty()) query.emplace_back("at", arguments.at);
    return tell_window(
        context, arguments,
        context.api().get(fmt::format("/v1/sources/{}/window", url_part(arguments.source)), query));
}

} // namespace

void add_window(CLI::App& app, RunCommand& run) {
    auto a = std::make_shared<Arguments>();
    CLI::App* command = app.add_subcommand("window", "Show to which moments a source can be recovered");
    add_repository_option(*command, a->repository);
    command->add_option("SOURCE", a->source, "Name of the source")->required();
    command->add_option("--at", a->at, "Also what a recovery to this time would use");
    command->callback([a, &run] {
        run = [a](CommandContext& context) { return run_window(context, *a); };
        run.at_server = [a](CommandContext& context) { return window_at_server(context, *a); };
    });
}

} // namespace holdfast
