#include "postgres/archive/wal_fetch.h"

#include "base/error.h"
#include "postgres/archive/unfinished_file.h"
#include "postgres/archive/wal_file_name.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include <fmt/format.h>

namespace holdfast::postgres {

namespace {

constexpr Duration look_for_more = std::chrono::milliseconds(100);

bool fetch_history(const WalArchive& archive, TimelineId timeline, const std::string& destination,
                   const CallOptions& call) {
    const auto text = archive.history_text(timeline, call);
    if (!text) return false;
    UnfinishedFile file(destination);
    file.append(as_bytes(*text));
    file.finish(text->size());
    return true;
}

// While somebody archives, what was not there a moment ago may be there now, and slices come in any order:
// only what stays away is a gap.
bool fetch_segment(const WalArchive& archive, const WalRange& range, Lsn until,
                   const std::string& destination, Duration patience, const CallOptions& call) {
    const Lsn wanted = until ? std::min(until, range.end) : range.end;
    if (wanted <= range.begin) return false;
    Lsn reached;
    for (Duration since = system_clock().steady();;) {
        std::optional<UnfinishedFile> file;
        const Lsn end = archive.read(
            {range.timeline, range.begin, wanted},
            [&](ByteView bytes) {
                if (!file) file.emplace(destination);
                file->append(bytes);
            },
            call);
        if (end == wanted || !archive.has_any_of({range.timeline, end, Lsn{UINT64_MAX}}, call)) {
            if (file) file->finish(range.bytes());
            return file.has_value();
        }
        const Duration now = system_clock().steady();
        if (std::exchange(reached, end) != end) since = now;
        if (now - since >= patience || !system_clock().sleep_for(look_for_more, call.stop)) {
            throw Error(
                ErrorCode::not_found,
                fmt::format("the archive has a gap at {} on timeline {}, and log behind it", end.str(),
                            range.timeline),
                "'holdfast wal verify' shows the gaps; recover to a moment before it, or from a later "
                "snapshot");
        }
    }
}

} // namespace

bool fetch_wal_file(const WalArchive& archive, const std::string& name, const std::string& destination,
                    std::uint64_t segment_bytes, std::stop_token stop, Lsn until, Duration gap_patience) {
    const CallOptions call{.stop = std::move(stop)};
    const auto parsed = parse_wal_file_name(name);
    if (!parsed) {
        throw Error(ErrorCode::usage, fmt::format("{} is no name of a file of the log", name),
                    "restore_command gives it as %f: holdfast wal fetch SOURCE %f %p");
    }
    if (parsed->kind == WalFileKind::history)
        return fetch_history(archive, parsed->timeline, destination, call);
    if (parsed->kind != WalFileKind::segment) return false;
    const auto start = parse_segment_name(name, segment_bytes);
    if (!start) {
        throw Error(ErrorCode::usage, fmt::format("{} is no segment of {} bytes", name, segment_bytes),
                    "the archive is of a cluster with another segment size");
    }
    return fetch_segment(archive, {start->timeline, start->begin, start->begin + segment_bytes}, until,
                         destination, gap_patience, call);
}

std::uint64_t segment_bytes_of(const WalArchive& archive, const CallOptions& call) {
    const auto details = archive.any_details(call);
    return details ? details->segment_bytes : 0;
}

} // namespace holdfast::postgres
