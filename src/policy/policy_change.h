// What another policy would mean: whether it keeps less, and which runs of backups there would be.
#pragma once

#include "policy/policy.h"

#include <string>
#include <vector>

namespace holdfast {

// Why `after` may keep some snapshot for a shorter time than `before` does, for people; empty: it keeps
// nothing shorter, whatever snapshots there are. Null is no policy, under which all stay. It hangs on the
// rules alone, and where rules cannot be compared they are taken to keep less.
std::vector<std::string> keeps_less(const Policy* before, const Policy* after);

enum class PolicyChangeKind { added, changed, removed };
std::string_view to_string(PolicyChangeKind kind);

struct PolicyChange {
    std::string name;
    PolicyChangeKind kind = PolicyChangeKind::changed;
    bool operator==(const PolicyChange&) const = default;
};
// By name. Policies that say the same are the same, however they are written.
std::vector<PolicyChange> policy_changes(const std::vector<Policy>& before, const std::vector<Policy>& after);

// One plan of backups of one source.
struct BackupChange {
    std::string source, plan; // the plan's name
    PolicyChangeKind kind = PolicyChangeKind::changed;
    std::vector<Schedule::Run> before, after; // the next runs; empty: there are none
};
// What becomes of the backups of these sources that are planned from `from` on; `runs` is how many of each
// are told. Plans whose runs, type, class and time to live stay as they are are not among them. Policies that
// contradict each other about a source make no backups of it.
std::vector<BackupChange> backup_changes(const std::vector<Policy>& before, const std::vector<Policy>& after,
                                         const std::vector<std::string>& sources, Timestamp from,
                                         std::size_t runs);

// The first `count` runs after `from`.
std::vector<Schedule::Run> coming_runs(const Schedule& schedule, Timestamp from, std::size_t count);
// As policy_for(), but of policies that contradict each other none covers the source.
const Policy* clear_policy_for(const std::vector<Policy>& policies, std::string_view source);

} // namespace holdfast
