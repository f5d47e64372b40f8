// Until when each snapshot lives, found out by letting time pass.
#pragma once

#include "policy/retention_decision.h"
#include "policy/schedule.h"

#include <functional>
#include <optional>
#include <stop_token>
#include <vector>

namespace holdfast {

// What goes on happening while time passes.
struct Forecast {
    // Backups still to come.
    struct Backups {
        Schedule schedule;
        std::string class_name;
        std::optional<Period> keep{}; // their time to live
    };
    std::vector<Backups> backups;
    Schedule enforcement; // when the rules are applied
    Timestamp now{};
    Timestamp horizon{}; // where it ends
    bool new_ones_have_log = false;
};

struct Fate {
    // When it goes; nothing: it outlives the horizon.
    std::optional<Timestamp> goes;
    // Why it stays now, and if that is not what keeps it last, what does.
    std::vector<std::string> reasons, last_reasons;
};

// What becomes of each of `snapshots`, in their order, if every backup to come succeeds. Throws
// Error(cancelled) when `stop` was requested.
std::vector<Fate> forecast_retention(const RetentionPolicy& policy,
                                     const std::vector<RetentionSubject>& snapshots, const Forecast& forecast,
                                     std::stop_token stop = {});

} // namespace holdfast
