#include "server/broken_chains.h"

#include "policy/policy_change.h"
#include "postgres/recovery/recovery_source.h"
#include "server/planned_operations.h"

#include <algorithm>

#include <fmt/format.h>

namespace holdfast {

namespace {

using postgres::RecoverableRange;
using postgres::RecoveryGap;
using postgres::RecoveryWindow;

// The newest one that no snapshot lies behind, on whichever timeline.
const RecoveryGap* open_gap(const RecoveryWindow& window) {
    const RecoveryGap* newest = nullptr;
    for (const RecoveryGap& gap : window.gaps) {
        if (!gap.after || gap.before) continue;
        const bool begun_anew = std::ranges::any_of(
            window.ranges, [&](const RecoverableRange& range) { return range.from > *gap.after; });
        if (!begun_anew && (newest == nullptr || *gap.after > *newest->after)) newest = &gap;
    }
    return newest;
}

std::string reason_of(const RecoveryGap& gap) {
    if (!gap.why.empty())
        return fmt::format("the log leads no further than {}: {}", gap.begin.str(), gap.why);
    return fmt::format("the log from {} to {} of timeline {} is missing", gap.begin.str(), gap.end.str(),
                       gap.timeline);
}

} // namespace

std::vector<OperationRequest> new_bases(const ProtectionStatus& seen, const std::vector<Policy>& policies,
                                        const std::vector<MeasuredSource>& sources, Timestamp now) {
    std::vector<OperationRequest> wanted;
    for (const MeasuredSource& source : sources) {
        if (source.kind != postgres::snapshot_kind) continue;
        const Policy* policy = clear_policy_for(policies, source.name);
        if (policy == nullptr || policy->backups.empty()) continue;
        const auto measured = std::ranges::find(
            seen.sources, source.name, [](const SourceMeasurement& one) { return one.facts.source; });
        if (measured == seen.sources.end() || !measured->window) continue;
        const RecoveryGap* gap = open_gap(*measured->window);
        if (gap == nullptr) continue;
        wanted.push_back({.kind = "backup",
                          .source = source.name,
                          .request = backup_request(policy->backups.front(), source.kind),
                          .requested_by = reason_of(*gap),
                          .plan = new_base_plan,
                          .nominal = *gap->after,
                          .run_after = now});
    }
    return wanted;
}

std::size_t ask_for_new_bases(Operations& operations, const std::vector<OperationRequest>& wanted,
                              Logger& logger) {
    std::size_t asked = 0;
    for (const OperationRequest& request : wanted) {
        const OperationFilter under_way{.kind = "backup",
                                        .source = request.source,
                                        .states = {OperationState::queued, OperationState::running},
                                        .limit = 1};
        if (!operations.list(under_way).empty() || !operations.add(request)) continue;
        logger.warning("a snapshot is taken, because the log does not lead on",
                       {{"source", *request.source}, {"reason", request.requested_by}});
        ++asked;
    }
    return asked;
}

} // namespace holdfast
