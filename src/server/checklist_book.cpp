#include "server/checklist_book.h"

#include "base/error.h"

#include <algorithm>

#include <fmt/format.h>

namespace holdfast {

Checklist ChecklistBook::require(const std::string& name) const {
    const auto lists = lists_();
    const auto found = std::ranges::find(lists, name, &Checklist::name);
    if (found == lists.end())
        throw Error(ErrorCode::not_found, fmt::format("there is no checklist '{}'", name),
                    "holdfast checklist list names them");
    return *found;
}

ChecklistRecord ChecklistBook::record(const Checklist& list, Timestamp now, std::size_t count) {
    const TimeSpan span = checklist_span(list, now, count);
    ChecklistRecord record{.ticks = ticks_.list(list.name, span.begin, span.end),
                           .known_since = ticks_.known_since(list.name)};
    std::vector<std::string> unknown;
    for (const ChecklistItem& item : list.items)
        if (!record.known_since.contains(item.name)) unknown.push_back(item.name);
    if (unknown.empty()) return record;
    ticks_.remember(list.name, unknown, now);
    for (const std::string& item : unknown) record.known_since.emplace(item, now);
    return record;
}

std::vector<ChecklistPeriod> ChecklistBook::periods(const Checklist& list, std::size_t count) {
    const Timestamp now = clock_.now();
    return checklist_periods(list, record(list, now, count), now, count);
}

std::vector<ChecklistFacts> ChecklistBook::facts() {
    const Timestamp now = clock_.now();
    std::vector<ChecklistFacts> facts;
    for (const Checklist& list : lists_()) facts.push_back(checklist_facts(list, record(list, now, 2), now));
    return facts;
}

ChecklistTicks::Outcome ChecklistBook::tick(Database& database, const Checklist& list,
                                            const ChecklistTick& tick) {
    const TimeSpan period = list.period(tick.at);
    return ticks_.add(database, tick, period.begin, period.end);
}

} // namespace holdfast
