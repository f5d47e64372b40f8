#include "base/unrepeated_log.h"

#include <algorithm>
#include <utility>

namespace holdfast {

namespace {

constexpr Duration say_again = std::chrono::hours(1);
constexpr Duration over = std::chrono::minutes(5); // what was not told for so long, and comes again, is news
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
    if (!told_.contains(line) && told_.size() >= most_remembered) make_room(now);
    const auto [place, is_new] = told_.try_emplace(line, Told{.passed_on = now, .last = now});
    Told& told = place->second;
    if (is_new) return 0;
    if (now - std::exchange(told.last, now) >= over) {
        told = {.passed_on = now, .last = now};
        return 0;
    }
    if (now - told.passed_on < say_again) {
        ++told.held_back;
        return std::nullopt;
    }
    told.passed_on = now;
    return std::exchange(told.held_back, 0);
}

void UnrepeatedLog::make_room(Duration now) {
    std::erase_if(told_, [&](const auto& one) { return now - one.second.last >= over; });
    if (told_.size() < most_remembered) return;
    told_.erase(std::ranges::min_element(told_, {}, [](const auto& one) { return one.second.last; }));
}

} // namespace holdfast
