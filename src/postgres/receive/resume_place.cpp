#include "postgres/receive/resume_place.h"

#include "repository/log/proven_path.h"

namespace holdfast::postgres {

namespace {

WalPosition end_of(const LogSliceId& slice) { return {slice.range.branch, Lsn{slice.range.end}}; }

} // namespace

std::optional<LogSliceId> newest_slice(std::span<const LogSliceId> slices, const TimelineHistory& theirs) {
    std::optional<LogSliceId> newest;
    for (const LogSliceId& slice : slices) {
        if (slice.range.begin == slice.range.end || !theirs.contains(slice.range.branch)) continue;
        if (!newest || end_of(slice) > end_of(*newest)) newest = slice;
    }
    return newest;
}

std::optional<LogSliceId> newest_slice(const WalArchive& archive, const TimelineHistory& theirs,
                                       const CallOptions& call) {
    std::vector<LogSliceId> slices = archive.slices({}, call);
    for (;;) {
        const std::optional<LogSliceId> newest = newest_slice(slices, theirs);
        if (!newest || archive.reader().counts(*newest, call)) return newest;
        std::erase(slices, *newest);
    }
}

Lsn archived_from(const WalArchive& archive, WalPosition at, const CallOptions& call) {
    const std::vector<PathStep> path =
        ProvenPaths(archive.reader())
            .find(archive.slices_of({at.timeline, at.lsn, Lsn{UINT64_MAX}}, call),
                  {at.timeline, at.lsn.value, UINT64_MAX}, call);
    return path.empty() ? at.lsn : Lsn{path.back().end};
}

std::optional<WalPosition> place_behind_archive(const WalArchive& archive, LogServer& server,
                                                const CallOptions& call) {
    const TimelineHistory theirs = server.history(server.identity().timeline);
    const std::optional<LogSliceId> newest = newest_slice(archive, theirs, call);
    if (!newest) return std::nullopt;
    const WalPosition end = end_of(*newest);
    const std::optional<std::string> text = archive.history_text(end.timeline, call);
    const TimelineHistory ours =
        text ? TimelineHistory::parse(end.timeline, *text) : TimelineHistory(end.timeline);
    const WalPosition next = place_in(theirs, ours, end, server.segment_bytes()).at;
    if (next.timeline == theirs.timeline() && next.lsn > server.identity().position) return std::nullopt;
    return WalPosition{next.timeline, segment_begin(next.lsn, server.segment_bytes())};
}

} // namespace holdfast::postgres
