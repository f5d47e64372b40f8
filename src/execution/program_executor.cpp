#include "execution/program_executor.h"

#include "base/error.h"
#include "base/json_text.h"

#include <csignal>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace holdfast {

namespace {

using nlohmann::json;

// Exit codes of holdfast (holdfast(1), EXIT STATUS).
constexpr int exit_done = 0, exit_incomplete = 3;
// What a program may need beyond its limit to end by itself, which says more than being stopped.
constexpr Duration own_end = std::chrono::minutes(1);
constexpr std::size_t most_result_bytes = 16u << 20, most_list_bytes = 256u << 20;
constexpr const char* operation_tag = "operation";
// Of what nobody waits for: it leaves the processors to databases and to whoever asks the server something.
constexpr int niceness = 10;

json error_value(std::string_view code, std::string_view message, bool retryable = false) {
    return {{"code", code}, {"message", message}, {"hint", ""}, {"retryable", retryable}};
}

std::uint64_t number_of(const json& object, const char* member) {
    const auto found = object.find(member);
    return found != object.end() && found->is_number_unsigned() ? found->get<std::uint64_t>() : 0;
}

// One line of a program's standard error: how far it is, or what it has to say.
void tell(std::string_view line, ExecutionReport& report) {
    const json value = json::parse(line, nullptr, false);
    if (!value.is_object()) {
        if (!line.empty()) report.log("info", line);
        return;
    }
    if (const auto progress = value.find("progress"); progress != value.end() && progress->is_object()) {
        report.progress({.phase = progress->value("phase", std::string()),
                         .done_bytes = number_of(*progress, "done_bytes"),
                         .total_bytes = number_of(*progress, "total_bytes"),
                         .done_items = number_of(*progress, "done_items"),
                         .total_items = number_of(*progress, "total_items")});
        return;
    }
    const auto level = value.find("level");
    report.log(level != value.end() && level->is_string() ? level->get<std::string>() : "info", line);
}

ExecutionOutcome outcome_of(const ProgramEnd& end, const Deadline& deadline, const std::stop_token& stop,
                            Duration limit) {
    ExecutionOutcome outcome;
    json output = end.output_cut ? json() : json::parse(end.output, nullptr, false);
    if (end.output_cut) output = json{{"too_large", true}};
    if (output.is_discarded()) output = json();
    const bool tells_error = output.is_object() && output.contains("error");
    if (!output.is_null() && !tells_error) outcome.result = json_text(output);
    if (end.exit_code == exit_done || end.exit_code == exit_incomplete) {
        outcome.state = end.exit_code == exit_done ? OperationState::succeeded : OperationState::incomplete;
        return outcome;
    }
    json error;
    if (deadline.passed()) {
        error = error_value("timed_out",
                            fmt::format("not done within its limit of {} s, and stopped",
                                        std::chrono::ceil<std::chrono::seconds>(limit).count()),
                            true);
    } else if (stop.stop_requested()) {
        outcome.state = OperationState::cancelled;
        error = error_value("cancelled", "stopped before it was done");
    } else if (tells_error) {
        error = output["error"];
    } else if (end.signalled) {
        // Killed by somebody, or for lack of memory: the next attempt goes on where this one was.
        error = error_value("internal", fmt::format("ended by signal {}", end.exit_code - 128), true);
    } else if (outcome.result) {
        error =
            error_value("failed", fmt::format("ended with exit code {}; its result says why", end.exit_code));
    } else {
        // It has not done its work: what failed has a result.
        error =
            error_value("internal", fmt::format("ended with exit code {}; its log says why", end.exit_code));
    }
    outcome.retryable = error.is_object() && error.value("retryable", false);
    outcome.error = json_text(error);
    return outcome;
}

} // namespace

std::string error_json(const Error& error) {
    json value = error_value(to_string(error.code()), error.message(), error.retryable());
    value["hint"] = error.hint();
    if (!error.field().empty()) value["field"] = error.field();
    return json_text(value);
}

ExecutionOutcome ProgramExecutor::carry_out(const Operation& operation, ExecutionReport& report,
                                            const std::stop_token& stop) {
    try {
        const OperationCommand command =
            operation_command(operation.kind, operation.source, operation.request, settings_.world());
        if (operation.attempts > 1 && operation.kind == "backup") {
            if (auto outcome = backed_up_before(operation, report, stop)) {
                report.log("info", "it was done already, by an attempt that did not end here");
                return *outcome;
            }
        }
        const Deadline deadline(command.time_limit == Duration{} ? Duration{} : command.time_limit + own_end,
                                stop);
        std::vector<std::string> words = command.arguments;
        if (operation.kind == "backup")
            words.push_back(fmt::format("--tag={}={}", operation_tag, operation.id));
        const ProgramEnd end = call_holdfast(
            settings_.words,
            {.words = std::move(words),
             .on_repository = operation.kind != "alert-test",
             .most_output_bytes = most_result_bytes,
             // Who is told SIGINT ends sooner, and keeps less to go on from.
             .stop_signal = [&] { return report.is_unwanted() ? SIGINT : SIGTERM; },
             .grace = settings_.grace,
             .nice = operation.kind == "restore" ? 0 : niceness},
            [&](std::string_view line) { tell(line, report); }, deadline.token());
        return outcome_of(end, deadline, stop, command.time_limit);
    } catch (const Error& error) {
        return {.state = OperationState::failed, .error = error_json(error), .retryable = error.retryable()};
    }
}

// A match that is listed proves that it was made; that none is, where something was passed over, proves
// nothing: one backup too many does less harm than one that is missing.
std::optional<ExecutionOutcome> ProgramExecutor::backed_up_before(const Operation& operation,
                                                                  ExecutionReport& report,
                                                                  const std::stop_token& stop) {
    const ProgramEnd end = call_holdfast(
        settings_.words,
        {.words = {"snapshots", "--source=" + operation.source.value_or("")},
         .most_output_bytes = most_list_bytes,
         .grace = settings_.grace},
        [](std::string_view) {}, stop);
    const json list = json::parse(end.output, nullptr, false);
    const bool listed = list.is_array() && (end.exit_code == exit_done || end.exit_code == exit_incomplete);
    if (!listed) {
        throw Error(ErrorCode::unavailable,
                    "whether an earlier attempt did it could not be found out: the snapshots were not listed",
                    {}, true);
    }
    for (const json& snapshot : list) {
        const auto tags = snapshot.find("tags");
        if (tags == snapshot.end() || !tags->is_object()) continue;
        if (tags->value(operation_tag, std::string()) != operation.id) continue;
        const bool partial = snapshot.value("state", std::string()) == "partial";
        return ExecutionOutcome{.state = partial ? OperationState::incomplete : OperationState::succeeded,
                                .result = json_text(snapshot)};
    }
    if (end.exit_code == exit_incomplete)
        report.log("warning", "whether an earlier attempt did it is not known, because not all snapshots can "
                              "be read: it is done again");
    return std::nullopt;
}

} // namespace holdfast
