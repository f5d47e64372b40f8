#include "postgres/recovery/log_exposure.h"

#include <algorithm>

namespace holdfast::postgres {

namespace {

// How far the range leads on the way to the server's timeline; nothing when it lies on none of its history.
std::optional<Lsn> reach(const RecoverySource& source, const RecoverableRange& range,
                         const TimelineHistory& theirs) {
    const auto fork = theirs.fork_from(source.history_of(range.timeline));
    if (!fork || (fork->end && *fork->end < range.begin)) return std::nullopt;
    return fork->end ? std::min(*fork->end, range.end) : range.end;
}

} // namespace

std::optional<LogExposure> log_exposure(const RecoverySource& source, const RecoveryWindow& window,
                                        TimelineId timeline, Lsn position) {
    const TimelineHistory theirs = source.history_of(timeline);
    std::optional<LogExposure> exposure;
    Lsn reached;
    for (const RecoverableRange& range : window.ranges) {
        const auto end = reach(source, range, theirs);
        if (!end || (exposure && *end <= reached)) continue;
        reached = *end;
        exposure = LogExposure{position > reached ? position - reached : 0, reached, range.until};
    }
    return exposure;
}

} // namespace holdfast::postgres
