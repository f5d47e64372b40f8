// What other policies would do to what is there: which snapshots would go sooner, which would stay longer.
#pragma once

#include "policy/policy_change.h"
#include "service/retention.h"

#include <optional>
#include <stop_token>
#include <string>
#include <vector>

namespace holdfast {

struct PolicyPlan {
    std::vector<PolicyChange> policies;
    // A snapshot that lives until another time than before.
    struct Effect {
        std::string source, domain;
        std::string snapshot;
        Timestamp time{};                       // of the snapshot
        std::optional<Timestamp> before, after; // when it goes; nothing: it outlives the horizon
        // Why it stays now, or may go; then, if that is another reason, what keeps it last.
        std::vector<std::string> why_before, why_after;
        bool goes_now = false; // that stays now
    };
    std::vector<Effect> sooner, later; // by source, oldest first
    std::vector<BackupChange> backups;
    // What of a source may be kept for a shorter time, by the rules alone or by what goes now.
    std::vector<std::string> losses;
};

struct PolicyPlanSettings {
    Timestamp now{};
    Timestamp horizon{};
    std::vector<std::string> sources{}; // that are backed up from here
    std::size_t runs = 3;               // of each plan of backups that are told
};

// Compares the policies `before` with those `after`, for the snapshots `stored`. Throws Error(cancelled) when
// `stop` was requested.
PolicyPlan plan_policies(const std::vector<Policy>& before, const std::vector<Policy>& after,
                         const std::vector<RetentionSource>& stored, const PolicyPlanSettings& settings,
                         const std::stop_token& stop);

// The losses of it alone, without looking ahead: of each source of `stored` that has snapshots, and of those
// of `others`, which may have some, why `after` may keep less of it than `before`, and how many snapshots
// would go at once.
std::vector<std::string> policy_losses(const std::vector<Policy>& before, const std::vector<Policy>& after,
                                       const std::vector<RetentionSource>& stored,
                                       const std::vector<std::string>& others, Timestamp now);
// The first of them, for a message.
std::string losses_text(const std::vector<std::string>& losses);

} // namespace holdfast
