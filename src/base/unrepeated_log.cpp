#include "base/unrepeated_log.h"

#include <algorithm>

namespace holdfast {

namespace {

constexpr Duration say_again = std::chrono::hours(1);
constexpr std::size_t most_remembered = 1'000;

} // namespace

void UnrepeatedLog::log(LogLevel level, std::string_view event, std::initializer_list<LogField> fields) {
    if (level < LogLevel::warning) return to_.log(level, event, fields);
    const auto again = pass(render_log_line(LogFormat::json, "", level, event, fields));
    if (!again) return;
    to_.log(level, event, fields);
    if (*again > 0) to_.log(level, "said before", {{"event", std::string(event)}, {"times", *again}});
}

std::optional<std::int64_t> UnrepeatedLog::pass(const std::string& line) {
    const Duration now = clock_.steady();
    const std::scoped_lock lock(mutex_);
    const auto found = told_.find(line);
    if (found != told_.end() && now - found->second.at < say_again) {
        ++found->second.again;
        return std::nullopt;
    }
    const std::int64_t again = found == told_.end() ? 0 : found->second.again;
    if (found == told_.end() && told_.size() >= most_remembered) make_room(now);
    told_[line] = {.at = now};
    return again;
}

void UnrepeatedLog::make_room(Duration now) {
    std::erase_if(told_, [&](const auto& one) { return now - one.second.at >= say_again; });
    if (told_.size() < most_remembered) return;
    told_.erase(std::ranges::min_element(told_, {}, [](const auto& one) { return one.second.at; }));
}

} // namespace holdfast
