#include "server/broken_chains.h"

#include "policy/policy_change.h"
#include "postgres/recovery/recovery_source.h"
#include "server/planned_operations.h"

#include <algorithm>

#include <fmt/format.h>

namespace holdfast {

namespace {

// From one new base of a source to the next: twice as long each time, as often as there were some lately.
constexpr Duration shortest_pause = std::chrono::hours(2), longest_pause = std::chrono::days(1),
                   lately = std::chrono::days(2);
constexpr std::size_t most_looked_at = 1'000;

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

// Also of a clock that has been set back meanwhile.
bool is_within(Timestamp one, Timestamp other, Duration distance) {
    return std::max(one, other) - std::min(one, other) < distance;
}

// `backups` are those of one source, newest first, and over.
bool is_too_soon(const std::vector<Operation>& backups, Timestamp now) {
    Duration pause{};
    const Operation* last = nullptr;
    for (const Operation& one : backups) {
        if (one.plan != new_base_plan || !is_within(one.created, now, lately)) continue;
        if (last == nullptr) last = &one;
        pause = pause == Duration{} ? shortest_pause : std::min(pause * 2, longest_pause);
    }
    return last != nullptr && is_within(last->ended.value_or(last->created), now, pause);
}

} // namespace

std::vector<NewBase> new_bases(const ProtectionStatus& seen, const std::vector<Policy>& policies,
                               const std::vector<MeasuredSource>& sources) {
    std::vector<NewBase> wanted;
    for (const MeasuredSource& source : sources) {
        if (source.kind != postgres::snapshot_kind) continue;
        const Policy* policy = clear_policy_for(policies, source.name);
        if (policy == nullptr || policy->backups.empty()) continue;
        const auto measured = std::ranges::find(
            seen.sources, source.name, [](const SourceMeasurement& one) { return one.facts.source; });
        if (measured == seen.sources.end() || !measured->window) continue;
        const RecoveryGap* gap = open_gap(*measured->window);
        if (gap == nullptr) continue;
        const std::string reason = reason_of(*gap);
        BackupPlan plan = policy->backups.front();
        plan.tags.try_emplace("reason", reason);
        wanted.push_back({.source = source.name,
                          .timeline = gap->timeline,
                          .end = gap->begin,
                          .reason = reason,
                          .request = backup_request(plan, source.kind)});
    }
    return wanted;
}

std::size_t ChainMender::mend(const std::vector<NewBase>& wanted) {
    std::erase_if(standing_, [&](const auto& one) {
        return std::ranges::find(wanted, one.first, &NewBase::source) == wanted.end();
    });
    std::size_t asked = 0;
    for (const NewBase& base : wanted) {
        const OperationFilter under_way{.kind = "backup",
                                        .source = base.source,
                                        .states = {OperationState::queued, OperationState::running},
                                        .limit = 1};
        if (!operations_.list(under_way).empty()) {
            // Where it ends, the look at hand may be older than its snapshot.
            standing_.erase(base.source);
            continue;
        }
        const auto backups =
            operations_.list({.kind = "backup", .source = base.source, .limit = most_looked_at});
        const Duration since = stands_since(base, backups.empty() ? std::string() : backups.front().id);
        const Timestamp now = clock_.now();
        if (clock_.steady() - since < gap_patience_ || is_too_soon(backups, now)) continue;
        if (ask(base, now)) ++asked;
    }
    return asked;
}

Duration ChainMender::stands_since(const NewBase& base, const std::string& last_backup) {
    Standing now{base.timeline, base.end, last_backup, clock_.steady()};
    const auto [known, first] = standing_.try_emplace(base.source, now);
    Standing& before = known->second;
    if (!first &&
        (before.timeline != now.timeline || before.end != now.end || before.last_backup != now.last_backup))
        before = std::move(now);
    return before.since;
}

// Servers that share a catalog see the same, and the hour makes one of what they ask for.
bool ChainMender::ask(const NewBase& base, Timestamp now) {
    const auto id = operations_.add({.kind = "backup",
                                     .source = base.source,
                                     .request = base.request,
                                     .requested_by = fmt::format("plan {}", new_base_plan),
                                     .plan = new_base_plan,
                                     .nominal = std::chrono::floor<std::chrono::hours>(now),
                                     .run_after = now});
    if (!id) return false;
    logger_.warning("a snapshot is taken, because the log does not lead on",
                    {{"source", base.source}, {"reason", base.reason}});
    return true;
}

} // namespace holdfast
