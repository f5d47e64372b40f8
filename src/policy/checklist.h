// Lists of what is looked at again and again, each day, week, month or quarter.
#pragma once

#include "policy/time_zone.h"
#include "policy/weekly_window.h"

#include <array>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace holdfast {

// The most frequent first.
enum class ChecklistRhythm { day, week, month, quarter };
std::string_view to_string(ChecklistRhythm every);

// What Holdfast can see for itself; docs/checklists.md says what each means.
enum class ChecklistCheck {
    // What happens within a period.
    backups,
    verification,
    retention,
    restore,
    audit,
    // What is so at a time.
    log,
    window,
    sizes,
    alerts,
    repository,
    space,
    certificate,
    channels,
};
std::string_view to_string(ChecklistCheck check);
inline constexpr std::array all_checklist_checks{
    ChecklistCheck::backups,    ChecklistCheck::verification, ChecklistCheck::retention,
    ChecklistCheck::restore,    ChecklistCheck::audit,        ChecklistCheck::log,
    ChecklistCheck::window,     ChecklistCheck::sizes,        ChecklistCheck::alerts,
    ChecklistCheck::repository, ChecklistCheck::space,        ChecklistCheck::certificate,
    ChecklistCheck::channels};

struct ChecklistItem {
    std::string name;
    std::string text;                      // what is to be seen to
    std::optional<ChecklistCheck> check{}; // nothing: only people can tell
    std::string runbook{};                 // how, or where that is written; may be empty
    bool operator==(const ChecklistItem&) const = default;
};

struct Checklist {
    std::string name;
    ChecklistRhythm every = ChecklistRhythm::day;
    TimeZone zone{};
    std::vector<ChecklistItem> items{};

    // The day, week from Monday, month or quarter by the calendar of its zone that `time` lies in.
    TimeSpan period(Timestamp time) const;
    // Null when it has none of that name.
    const ChecklistItem* find(std::string_view item) const;
    bool operator==(const Checklist&) const = default;
};

// "daily", "weekly", "monthly" and "quarterly", which there are without any configuration.
const std::vector<Checklist>& default_checklists();

// Reads the JSON form of [checklist.NAME]: off, every, time_zone, and item, each with name, text, check and
// runbook. What a list of default_checklists() does not say stays as it is there. Nothing when it is off.
// Throws Error(usage) whose field() is the path of what is wrong.
std::optional<Checklist> parse_checklist(const std::string& name, std::string_view json);

// All that there are: those `declared`, which by name are nothing when they are off, and the others of
// default_checklists(). Frequent ones first, then by name.
std::vector<Checklist>
checklists_in_force(const std::map<std::string, std::optional<Checklist>>& declared = {});

} // namespace holdfast
