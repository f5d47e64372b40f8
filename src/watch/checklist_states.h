// How far checklists are: what is done, due and missed. Pure.
//
// A period counts from the first that begins after an item was first known: of the one before, which is not
// whole, nothing is missed.
#pragma once

#include "catalog/checklist_ticks.h"
#include "policy/checklist.h"
#include "watch/facts.h"

#include <map>
#include <optional>
#include <string>
#include <vector>

namespace holdfast {

enum class ItemState { done, due, missed };
std::string_view to_string(ItemState state);

struct ChecklistItemState {
    ChecklistItem item; // of which the list may know the name alone, when it was taken from it since
    ItemState state = ItemState::due;
    std::optional<ChecklistTick> tick{}; // when it is done
};

struct ChecklistPeriod {
    TimeSpan span;
    std::vector<ChecklistItemState> items;
};

// What there is to know of one list: see ChecklistTicks.
struct ChecklistRecord {
    std::vector<ChecklistTick> ticks{};
    std::map<std::string, Timestamp> known_since{};
};

// The period that `now` lies in and up to `count - 1` before it, the newest first, none from before the list
// was known. `record` has the ticks of all of them.
std::vector<ChecklistPeriod> checklist_periods(const Checklist& list, const ChecklistRecord& record,
                                               Timestamp now, std::size_t count);
// The span of those periods, whether or not the list was known.
TimeSpan checklist_span(const Checklist& list, Timestamp now, std::size_t count);

// As the watch takes it.
ChecklistFacts checklist_facts(const Checklist& list, const ChecklistRecord& record, Timestamp now);

} // namespace holdfast
