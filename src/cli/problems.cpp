#include "cli/problems.h"

#include "cli/say.h"

#include <filesystem>
#include <new>

namespace holdfast {

Error as_error(const std::exception& exception) {
    if (const auto* error = dynamic_cast<const Error*>(&exception)) return *error;
    if (const auto* file = dynamic_cast<const std::filesystem::filesystem_error*>(&exception))
        return system_error(file->code().value(), file->path1().string());
    if (dynamic_cast<const std::bad_alloc*>(&exception) != nullptr)
        return Error(ErrorCode::internal, "there is not enough memory");
    return Error(ErrorCode::internal, fmt::format("a defect in holdfast: {}", exception.what()),
                 "please report it with the command you typed");
}

nlohmann::json error_as_json(const Error& error) {
    return {{"code", to_string(error.code())},
            {"message", error.message()},
            {"hint", error.hint()},
            {"retryable", error.retryable()}};
}

void say_error(const Error& error) {
    say(stderr, "holdfast: {}\n", error.message());
    if (!error.hint().empty()) say(stderr, "          {}\n", error.hint());
}

int tell_problems(CommandContext& context, const std::vector<std::string>& problems) {
    for (const std::string& problem : problems)
        context.logger().warning("passed over", {{"reason", problem}});
    return problems.empty() ? exit_done : exit_incomplete;
}

} // namespace holdfast
