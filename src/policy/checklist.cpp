#include "policy/checklist.h"

#include "base/error.h"

#include <algorithm>
#include <array>
#include <tuple>

namespace holdfast {

namespace {

using std::chrono::days;
using std::chrono::local_days;
using std::chrono::months;

local_days first_day(ChecklistRhythm every, local_days day) {
    const std::chrono::year_month_day date{day};
    switch (every) {
    case ChecklistRhythm::day:
        return day;
    case ChecklistRhythm::week:
        return day - (std::chrono::weekday(day) - std::chrono::Monday);
    case ChecklistRhythm::month:
        return local_days{date.year() / date.month() / 1};
    case ChecklistRhythm::quarter:
        break;
    }
    const unsigned month = (static_cast<unsigned>(date.month()) - 1) / 3 * 3 + 1;
    return local_days{date.year() / std::chrono::month(month) / 1};
}

local_days next_first_day(ChecklistRhythm every, local_days first) {
    if (every == ChecklistRhythm::day) return first + days(1);
    if (every == ChecklistRhythm::week) return first + days(7);
    const std::chrono::year_month_day date{first};
    return local_days{date + months(every == ChecklistRhythm::month ? 1 : 3)};
}

} // namespace

std::string_view to_string(ChecklistRhythm every) {
    constexpr std::array<std::string_view, 4> words{"day", "week", "month", "quarter"};
    return words.at(static_cast<std::size_t>(every));
}

std::string_view to_string(ChecklistCheck check) {
    constexpr std::array<std::string_view, 13> words{
        "backups", "verification", "retention",  "restore", "audit",       "log",     "window",
        "sizes",   "alerts",       "repository", "space",   "certificate", "channels"};
    return words.at(static_cast<std::size_t>(check));
}

TimeSpan Checklist::period(Timestamp time) const {
    const local_days first = first_day(every, std::chrono::floor<days>(zone.local(time)));
    const local_days next = next_first_day(every, first);
    const Timestamp end = zone.first_at_or_after(next);
    // Where clocks are put back over midnight the day before is shown again, but this one has begun.
    if (end <= time) return {end, zone.first_at_or_after(next_first_day(every, next))};
    return {zone.first_at_or_after(first), end};
}

const ChecklistItem* Checklist::find(std::string_view item) const {
    const auto found = std::ranges::find(items, item, &ChecklistItem::name);
    return found == items.end() ? nullptr : &*found;
}

std::vector<Checklist> checklists_in_force(const std::map<std::string, std::optional<Checklist>>& declared) {
    std::vector<Checklist> lists;
    for (const auto& [name, list] : declared)
        if (list) lists.push_back(*list);
    for (const Checklist& list : default_checklists())
        if (!declared.contains(list.name)) lists.push_back(list);
    std::ranges::sort(lists, {}, [](const Checklist& list) { return std::tie(list.every, list.name); });
    return lists;
}

} // namespace holdfast
