// The checklists in force, and how far they are.
#pragma once

#include "catalog/checklist_ticks.h"
#include "watch/checklist_states.h"

#include <functional>
#include <string>
#include <vector>

namespace holdfast {

// Thread-safe. The arguments outlive it. All throw what the catalog throws.
class ChecklistBook {
  public:
    // `lists` says which there are now.
    ChecklistBook(Catalog& catalog, Clock& clock, std::function<std::vector<Checklist>()> lists)
        : ticks_(catalog), clock_(clock), lists_(std::move(lists)) {}

    std::vector<Checklist> lists() const { return lists_(); }
    // Throws Error(not_found).
    Checklist require(const std::string& name) const;
    // The period of now and those before it, newest first; see checklist_periods().
    std::vector<ChecklistPeriod> periods(const Checklist& list, std::size_t count);
    std::vector<ChecklistFacts> facts();
    // Ticks an item of the list for the period that tick.at lies in. In a transaction of the caller.
    ChecklistTicks::Outcome tick(Database& database, const Checklist& list, const ChecklistTick& tick);

  private:
    // With what is known from now on.
    ChecklistRecord record(const Checklist& list, Timestamp now, std::size_t count);

    ChecklistTicks ticks_;
    Clock& clock_;
    std::function<std::vector<Checklist>()> lists_;
};

} // namespace holdfast
