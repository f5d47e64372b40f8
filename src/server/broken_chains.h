// Logs that lead on no more: a snapshot that begins anew is asked for.
#pragma once

#include "base/log.h"
#include "catalog/operations.h"
#include "policy/policy.h"
#include "service/measure.h"

#include <map>
#include <string>
#include <vector>

namespace holdfast {

// The plan by which such backups are known in the catalog.
inline constexpr const char* new_base_plan = "new base";

// A snapshot that a log could go on from.
struct NewBase {
    std::string source;
    postgres::TimelineId timeline = 0; // where the log ends …
    postgres::Lsn end;
    std::string reason;
    std::string request; // JSON, with the reason as a tag
};

// For each of `sources` whose log has a gap or cannot be followed on, behind its newest snapshot: a backup,
// as the first plan of its policy would make it. What no policy backs up is left alone.
std::vector<NewBase> new_bases(const ProtectionStatus& seen, const std::vector<Policy>& policies,
                               const std::vector<MeasuredSource>& sources);

// Asks for them. For one thread; the arguments outlive it.
class ChainMender {
  public:
    ChainMender(Operations& operations, Duration gap_patience, Clock& clock, Logger& logger)
        : operations_(operations), gap_patience_(gap_patience), clock_(clock), logger_(logger) {}

    // `wanted` is what the newest look wants; returns how many were asked for. That are those whose gap stood
    // for `gap_patience` while nothing else backed their source up, since a log is stored by several hands
    // and its pieces arrive in any order. Of a source the next comes hours after the last one, whatever
    // became of that, and later each time, up to a day. Throws what the catalog throws.
    std::size_t mend(const std::vector<NewBase>& wanted);

  private:
    struct Standing {
        postgres::TimelineId timeline = 0;
        postgres::Lsn end;
        std::string last_backup; // that was asked for; empty: none
        Duration since{};
    };
    // Since when, by the steady clock, it has been so.
    Duration stands_since(const NewBase& base, const std::string& last_backup);
    bool ask(const NewBase& base, Timestamp now);

    Operations& operations_;
    const Duration gap_patience_;
    Clock& clock_;
    Logger& logger_;
    std::map<std::string, Standing> standing_; // by the source
};

} // namespace holdfast
