#include "cli/problems.h"

namespace holdfast {

int tell_problems(CommandContext& context, const std::vector<std::string>& problems) {
    for (const std::string& problem : problems)
        context.logger().warning("passed over", {{"reason", problem}});
    return problems.empty() ? exit_done : exit_incomplete;
}

} // namespace holdfast
