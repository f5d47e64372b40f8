// What of checklists was seen to, and by whom; since when each of their items is known.
#pragma once

#include "catalog/catalog.h"

#include <map>
#include <optional>
#include <string>
#include <vector>

namespace holdfast {

struct ChecklistTick {
    std::string list{}, item{};
    Timestamp at{};
    std::optional<std::string> by{}; // a token's name; nothing: Holdfast itself
    std::string note{};              // what he says, or what it saw
    bool operator==(const ChecklistTick&) const = default;
};

// Thread-safe. The catalog must outlive it. All throw what the catalog throws.
class ChecklistTicks {
  public:
    explicit ChecklistTicks(Catalog& catalog) : catalog_(catalog) {}

    struct Outcome {
        ChecklistTick there{}; // that counts
        bool is_new = false;   // and was given now
    };
    // Ticks an item, unless it was ticked at a time from `begin` on and before `end`, a period in which
    // `tick.at` lies: the first stays, also when several come together. In a transaction of the caller.
    Outcome add(Database& database, const ChecklistTick& tick, Timestamp begin, Timestamp end);
    // Those of a list from `begin` on and before `end`, oldest first.
    std::vector<ChecklistTick> list(const std::string& list, Timestamp begin, Timestamp end);

    // Remembers items that are not known yet as known since `now`.
    void remember(const std::string& list, const std::vector<std::string>& items, Timestamp now);
    std::map<std::string, Timestamp> known_since(const std::string& list);

  private:
    Catalog& catalog_;
};

} // namespace holdfast
