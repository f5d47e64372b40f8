#include "postgres/receive/resume_place.h"

#include <algorithm>

namespace holdfast::postgres {

std::optional<WalPosition> newest_position(std::span<const LogSliceId> slices,
                                           const TimelineHistory& theirs) {
    std::optional<WalPosition> newest;
    for (const LogSliceId& slice : slices) {
        if (slice.range.begin == slice.range.end || !theirs.contains(slice.range.branch)) continue;
        const WalPosition end{slice.range.branch, Lsn{slice.range.end}};
        newest = std::max(newest.value_or(end), end);
    }
    return newest;
}

std::optional<WalPosition> place_behind_archive(const WalArchive& archive, LogServer& server,
                                                const CallOptions& call) {
    const TimelineHistory theirs = server.history(server.identity().timeline);
    const std::optional<WalPosition> newest = newest_position(archive.slices({}, call), theirs);
    if (!newest) return std::nullopt;
    const std::optional<std::string> text = archive.history_text(newest->timeline, call);
    const TimelineHistory ours =
        text ? TimelineHistory::parse(newest->timeline, *text) : TimelineHistory(newest->timeline);
    const WalPosition next = place_in(theirs, ours, *newest, server.segment_bytes()).at;
    if (next.timeline == theirs.timeline() && next.lsn > server.identity().position) return std::nullopt;
    return WalPosition{next.timeline, segment_begin(next.lsn, server.segment_bytes())};
}

} // namespace holdfast::postgres
