// A policy: what is promised for some sources, and what is done to keep it.
#pragma once

#include "policy/retention.h"
#include "policy/schedule.h"

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace holdfast {

// What is compared with measurements; nothing follows from them by itself.
struct Objectives {
    std::optional<Period> rpo;                   // what may be lost
    std::optional<Period> rto;                   // how long a recovery may take
    std::optional<Period> backup_age;            // how old the newest good snapshot may be
    std::optional<Period> window;                // how far back any second must be restorable
    std::optional<std::uint64_t> smallest_bytes; // a snapshot of less is not believed
    bool operator==(const Objectives&) const = default;
};

// Backups that are made again and again.
struct BackupPlan {
    std::string name;
    Schedule::Rhythm rhythm;
    std::optional<Duration> jitter{};
    std::string type = "auto";    // "auto", "full" or "incremental"
    std::string class_name{};     // that its snapshots get; empty: none
    std::optional<Period> keep{}; // their time to live; nothing: as the rules say
    Duration time_limit{};        // zero: none
    bool catch_up = true;         // a missed run is made later
    std::map<std::string, std::string> tags{};
};

// Verifications that are made again and again.
struct VerificationPlan {
    std::string name;
    Schedule::Rhythm rhythm;
    std::optional<Duration> jitter{};
    // How much of the data is read: "structure", "5%", "all".
    std::string depth = "structure";
};

struct Policy {
    std::string name;
    std::vector<std::string> sources; // names; a `*` stands for anything
    TimeZone zone;
    std::vector<WeeklyWindow> maintenance; // when the sources are worked on
    Objectives objectives;
    std::vector<BackupPlan> backups;
    std::vector<VerificationPlan> verifications;
    RetentionPolicy retention;

    bool covers(std::string_view source) const;
    // When `plan` runs for `source`.
    Schedule schedule_of(const BackupPlan& plan, std::string_view source) const;
    Schedule schedule_of(const VerificationPlan& plan, std::string_view source) const;
};

// The one policy that covers `source`: one that names it goes before patterns. Nothing when none does. Throws
// Error(usage) when several with the same right do.
const Policy* policy_for(const std::vector<Policy>& policies, std::string_view source);

// The classes that snapshots may get: those that mean something by themselves (policy/retention.h), and those
// that a policy names.
std::set<std::string> known_classes(const std::vector<Policy>& policies);
// Throws Error(usage) for any other: a snapshot of a misspelt class goes by the rules for all.
void require_known_class(const std::string& name, const std::set<std::string>& known);

// A maintenance window that runs of a schedule fall into, and when for the first time.
struct MaintenanceOverlap {
    std::string window;
    TimeSpan first; // of no length where runs are moments
};
// Those of the policy's windows within a year from `from`.
std::vector<MaintenanceOverlap> maintenance_overlaps(const Policy& policy, const Schedule& schedule,
                                                     Timestamp from);

// What in a policy its author will hardly have meant, in words: windows of backups that overlap with
// maintenance within a year from `from`, promises that its own rules cannot keep.
std::vector<std::string> doubts_about(const Policy& policy, Timestamp from);

} // namespace holdfast
