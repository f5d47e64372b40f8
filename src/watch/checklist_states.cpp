#include "watch/checklist_states.h"

#include <algorithm>

namespace holdfast {

namespace {

ChecklistPeriod period_of(const Checklist& list, const ChecklistRecord& record, const TimeSpan& span,
                          Timestamp now) {
    ChecklistPeriod period{.span = span, .items = {}};
    const bool is_over = span.end <= now;
    const auto tick_of = [&](const std::string& item) {
        return std::ranges::find_if(record.ticks, [&](const ChecklistTick& tick) {
            return tick.item == item && span.contains(tick.at);
        });
    };
    for (const ChecklistItem& item : list.items) {
        if (const auto tick = tick_of(item.name); tick != record.ticks.end()) {
            period.items.push_back({.item = item, .state = ItemState::done, .tick = *tick});
        } else if (!is_over) {
            period.items.push_back({.item = item});
        } else if (const auto since = record.known_since.find(item.name);
                   since != record.known_since.end() && since->second <= span.begin) {
            period.items.push_back({.item = item, .state = ItemState::missed});
        }
    }
    for (const ChecklistTick& tick : record.ticks)
        if (span.contains(tick.at) && list.find(tick.item) == nullptr)
            period.items.push_back(
                {.item = {.name = tick.item, .text = {}}, .state = ItemState::done, .tick = tick});
    return period;
}

TimeSpan before(const Checklist& list, const TimeSpan& span) { return list.period(span.begin - Duration(1)); }

} // namespace

std::string_view to_string(ItemState state) {
    switch (state) {
    case ItemState::done:
        return "done";
    case ItemState::due:
        return "due";
    case ItemState::missed:
        break;
    }
    return "missed";
}

std::vector<ChecklistPeriod> checklist_periods(const Checklist& list, const ChecklistRecord& record,
                                               Timestamp now, std::size_t count) {
    std::vector<ChecklistPeriod> periods;
    Timestamp first = now;
    for (const auto& [item, since] : record.known_since) first = std::min(first, since);
    for (TimeSpan span = list.period(now); periods.size() < count && span.end > first;
         span = before(list, span))
        periods.push_back(period_of(list, record, span, now));
    return periods;
}

TimeSpan checklist_span(const Checklist& list, Timestamp now, std::size_t count) {
    TimeSpan span = list.period(now);
    const Timestamp end = span.end;
    for (std::size_t i = 1; i < count; ++i) span = before(list, span);
    return {span.begin, end};
}

ChecklistFacts checklist_facts(const Checklist& list, const ChecklistRecord& record, Timestamp now) {
    const auto periods = checklist_periods(list, record, now, 2);
    ChecklistFacts facts{.name = list.name};
    for (const ChecklistItemState& each : periods.front().items) {
        if (each.state != ItemState::due) continue;
        ++facts.due;
        // What was not seen to in time and is by now needs nobody any more.
        if (periods.size() < 2) continue;
        const auto& last = periods.back().items;
        const auto same = std::ranges::find_if(
            last, [&](const ChecklistItemState& one) { return one.item.name == each.item.name; });
        if (same != last.end() && same->state == ItemState::missed) facts.missed.push_back(each.item.name);
    }
    return facts;
}

} // namespace holdfast
