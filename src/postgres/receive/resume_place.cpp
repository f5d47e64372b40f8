#include "postgres/receive/resume_place.h"

#include "repository/log/proven_path.h"

#include <algorithm>

namespace holdfast::postgres {

namespace {

WalPosition end_of(const LogSliceId& slice) { return {slice.range.branch, Lsn{slice.range.end}}; }

// Where the archive's log begins that the server's history has; what lies before is of no use to anybody.
std::optional<WalPosition> first_of(const WalArchive& archive, const TimelineHistory& theirs,
                                    const CallOptions& call) {
    std::optional<WalPosition> first;
    for (const LogSliceId& slice : archive.slices({}, call)) {
        if (slice.range.begin == slice.range.end || !theirs.contains(slice.range.branch)) continue;
        const WalPosition begin{slice.range.branch, Lsn{slice.range.begin}};
        if (!first || begin < *first) first = begin;
    }
    return first;
}

// The first place from `from` on, and before `end`, of which the archive has no log.
std::optional<WalPosition> first_missing(const WalArchive& archive, const TimelineHistory& theirs,
                                         WalPosition from, WalPosition end, const CallOptions& call) {
    for (WalPosition at = from;;) {
        const bool last = at.timeline >= end.timeline;
        const Lsn until = last ? end.lsn : theirs.part_of(at.timeline).value().end.value();
        if (const Lsn covered = archived_from(archive, at, call); covered < until)
            return WalPosition{at.timeline, covered};
        if (last) return std::nullopt;
        at = {theirs.timeline_at(until), until};
    }
}

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
    const WalPosition behind{next.timeline, segment_begin(next.lsn, server.segment_bytes())};
    // What is newest may have been stored by others, as by a backup, and something may be missing before it:
    // the slot keeps what was not acknowledged.
    if (server.slot().restart) {
        const WalPosition from =
            std::max(server.first_place(), first_of(archive, theirs, call).value_or(behind));
        if (const auto missing = first_missing(archive, theirs, from, behind, call);
            missing && *missing < behind)
            return WalPosition{missing->timeline, segment_begin(missing->lsn, server.segment_bytes())};
    }
    return behind;
}

} // namespace holdfast::postgres
