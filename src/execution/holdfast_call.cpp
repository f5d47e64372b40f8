#include "execution/holdfast_call.h"

#include "base/error.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace holdfast {

namespace {

using nlohmann::json;

// Of a program that is asked something: it has nothing to finish.
constexpr Duration question_grace = std::chrono::seconds(5);

ErrorCode code_named(std::string_view name) {
    for (int i = 0; i <= static_cast<int>(ErrorCode::internal); ++i)
        if (to_string(static_cast<ErrorCode>(i)) == name) return static_cast<ErrorCode>(i);
    return ErrorCode::internal;
}

// What a program printed that could not do its work: {"error": {"code": …, "message": …}}.
Error told_error(const json& output, int exit_code) {
    const auto error = output.is_object() ? output.find("error") : output.end();
    if (!output.is_object() || error == output.end() || !error->is_object())
        return Error(ErrorCode::internal, fmt::format("holdfast ended with exit code {}", exit_code));
    return Error(code_named(error->value("code", "")), error->value("message", ""), error->value("hint", ""),
                 error->value("retryable", false));
}

} // namespace

Deadline::Deadline(Duration limit, const std::stop_token& stop)
    : forward_(stop, [this] { both_.request_stop(); }) {
    if (limit == Duration{}) return;
    thread_ = std::jthread([this, limit](const std::stop_token& ended) {
        if (!system_clock().sleep_for(limit, ended)) return;
        passed_ = true;
        both_.request_stop();
    });
}

ProgramEnd call_holdfast(const ProgramWords& how, const HoldfastCall& call,
                         const std::function<void(std::string_view line)>& on_line,
                         const std::stop_token& stop) {
    ProgramCall program{.program = how.program,
                        .arguments = how.before,
                        .most_output_bytes = call.most_output_bytes,
                        .stop_signal = call.stop_signal,
                        .grace = call.grace,
                        .nice = call.nice};
    std::vector<std::string>& words = program.arguments;
    words.insert(words.end(), {"--json", "--log-format=json", "--progress=json"});
    words.insert(words.end(), call.words.begin(), call.words.end());
    if (call.on_repository) words.insert(words.end(), how.behind.begin(), how.behind.end());
    return run_program(program, on_line, stop);
}

std::string ask_holdfast(const ProgramWords& how, std::vector<std::string> words, Duration limit,
                         const std::stop_token& stop) {
    const std::string command = words.front();
    const Deadline deadline(limit, stop);
    ProgramEnd end = call_holdfast(
        how, {.words = std::move(words), .grace = question_grace}, [](std::string_view) {}, deadline.token());
    if (deadline.passed()) {
        throw Error(ErrorCode::timed_out,
                    fmt::format("holdfast {} had no answer within {} s", command,
                                std::chrono::ceil<std::chrono::seconds>(limit).count()),
                    {}, true);
    }
    if (stop.stop_requested()) throw Error(ErrorCode::cancelled, "the server ends", {}, true);
    const json output = end.output_cut ? json() : json::parse(end.output, nullptr, false);
    const bool answers = !output.is_discarded() && !output.is_null() && !output.contains("error");
    if (!answers) throw told_error(output, end.exit_code);
    return std::move(end.output);
}

} // namespace holdfast
