// How long snapshots are kept: the rules.
#pragma once

#include "policy/period.h"
#include "policy/time_zone.h"

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

namespace holdfast {

// Of each hour, day, week (from Monday), month or year the newest snapshot is kept: that of the last so many
// that have one, or for so long after it was made.
using KeepFor = std::variant<std::uint32_t, Period>;

// What is kept by any of the rules is kept. A rule set without any rule keeps nothing.
struct RetentionRules {
    std::optional<std::uint32_t> last; // the newest so many
    std::optional<Period> within;      // all that are not older
    std::optional<KeepFor> hourly, daily, weekly, monthly, yearly;

    bool empty() const { return *this == RetentionRules{}; }
    bool operator==(const RetentionRules&) const = default;
};

// What a snapshot was made for. Those of the last three are made for a reason that no schedule knows: only
// rules for their own class ever let them go.
inline constexpr std::string_view class_full = "full", class_incremental = "incremental",
                                  class_manual = "manual", class_pre_maintenance = "pre-maintenance",
                                  class_forensic = "forensic";

struct RetentionPolicy {
    // For snapshots of no class, and of a class without rules of its own.
    RetentionRules rules;
    std::map<std::string, RetentionRules> classes;
    // Any second within it stays restorable: the newest snapshot before it is kept, and the log from there
    // on.
    std::optional<Period> window;
    // In which days, weeks, months and years begin.
    TimeZone zone;

    bool operator==(const RetentionPolicy&) const = default;
};

} // namespace holdfast
