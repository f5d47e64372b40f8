#include "cli/commands/backup_repositories.h"

#include "base/error.h"
#include "cli/commands/backup_output.h"
#include "cli/problems.h"
#include "cli/say.h"

#include <algorithm>

#include <fmt/format.h>

namespace holdfast {

namespace {

// Wrong usage is that nothing was done anywhere.
int exit_code_of_all(const nlohmann::json& all) {
    const auto with = [&](int code) {
        return std::ranges::count_if(all,
                                     [&](const nlohmann::json& one) { return one["exit_code"] == code; });
    };
    if (with(exit_usage) == std::ssize(all)) return exit_usage;
    if (with(exit_usage) > 0 || with(exit_failed) > 0) return exit_failed;
    return with(exit_incomplete) > 0 ? exit_incomplete : exit_done;
}

void tell_result(CommandContext& context, const std::string& url, const nlohmann::json& result) {
    if (context.json()) return;
    const bool complete = exit_code_of_backup(result) == exit_done;
    if (!complete || !context.options().quiet) say(context.problem_stream(), "{}\n", url);
    tell_backup(context, result);
}

// What is said of one repository in the JSON of all.
nlohmann::json back_up_into_one(CommandContext& context, const std::string& url, const BackUpInto& back_up) {
    nlohmann::json one = {{"repository", url}};
    try {
        if (context.stop().stop_requested())
            throw Error(ErrorCode::cancelled, "not begun, since the backup was stopped");
        one["result"] = back_up(url);
        one["exit_code"] = exit_code_of_backup(one["result"]);
        tell_result(context, url, one["result"]);
    } catch (const std::exception& exception) {
        const Error error = as_error(exception);
        one["error"] = error_as_json(error);
        one["exit_code"] = error.code() == ErrorCode::usage ? exit_usage : exit_failed;
        say_error(error.with_context(url));
    }
    return one;
}

} // namespace

int back_up_into_each(CommandContext& context, const std::vector<std::string>& urls,
                      const BackUpInto& back_up) {
    std::vector<std::string> repositories;
    for (const std::string& url : urls) {
        repositories.push_back(context.repository_url(url));
        if (std::ranges::count(repositories, repositories.back()) > 1)
            throw Error(ErrorCode::usage, fmt::format("{} is named twice", repositories.back()),
                        "name each repository once");
    }
    nlohmann::json all = nlohmann::json::array();
    for (const std::string& url : repositories) all.push_back(back_up_into_one(context, url, back_up));
    if (context.json()) context.print({{"repositories", all}}, [] {});
    return exit_code_of_all(all);
}

} // namespace holdfast
