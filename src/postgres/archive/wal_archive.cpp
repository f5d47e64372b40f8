#include "postgres/archive/wal_archive.h"

#include "base/error.h"
#include "repository/key_ring.h"
#include "repository/log/log_writer.h"

#include <algorithm>

#include <fmt/format.h>

namespace holdfast::postgres {

ArchiveId wal_archive_id(const KeyRing& keys, std::string_view source, std::uint64_t system_identifier) {
    const Secret identity = keys.identity_key();
    return archive_id(identity.view(), source, fmt::format("{}", system_identifier));
}

std::vector<LogSliceId> WalArchive::slices(Lsn from, const CallOptions& call) const {
    return list_slices(context_.store, archive_, from.value, call);
}

// No slice is longer than the largest, so that one that reaches into the range begins not far before it.
std::vector<LogSliceId> WalArchive::slices_of(const WalRange& range, const CallOptions& call) const {
    const std::uint64_t first =
        range.begin.value > largest_slice_bytes ? range.begin.value - largest_slice_bytes : 0;
    const std::string prefix = fmt::format("{}{}/{:08x}-", logs_prefix, archive_.hex(), range.timeline);
    std::vector<LogSliceId> found;
    context_.store.list(
        prefix, fmt::format("{}{:016x}-", prefix, first),
        [&](const ObjectInfo& object) {
            const auto slice = LogSliceId::from_name(object.name);
            if (!slice) return true;
            if (slice->range.begin >= range.end.value) return false;
            if (slice->range.end > range.begin.value && slice->range.begin < slice->range.end)
                found.push_back(*slice);
            return true;
        },
        call);
    return found;
}

WalDetails WalArchive::details(const LogSliceId& slice, const CallOptions& call) const {
    return decode_wal_details(reader_.info(slice, call).details, slice.name());
}

std::map<TimelineId, TimelineHistory> WalArchive::histories(std::span<const LogSliceId> all,
                                                            const CallOptions& call) const {
    std::map<TimelineId, TimelineHistory> histories;
    histories.emplace(TimelineId{1}, TimelineHistory(1));
    for (const LogSliceId& slice : all) {
        if (slice.range.begin != slice.range.end || histories.contains(slice.range.branch)) continue;
        histories.emplace(slice.range.branch,
                          TimelineHistory::parse(slice.range.branch, details(slice, call).history));
    }
    return histories;
}

std::optional<std::string> WalArchive::history_text(TimelineId timeline, const CallOptions& call) const {
    const std::string prefix =
        fmt::format("{}{}/{:08x}-{:016x}-{:016x}-", logs_prefix, archive_.hex(), timeline, 0, 0);
    for (const ObjectInfo& object : context_.store.list_all(prefix, call)) {
        if (const auto slice = LogSliceId::from_name(object.name)) return details(*slice, call).history;
    }
    return std::nullopt;
}

Lsn WalArchive::read(const WalRange& range, const Sink& sink, const CallOptions& call) const {
    std::vector<LogSliceId> slices = slices_of(range, call);
    Lsn position = range.begin;
    while (position < range.end) {
        const std::vector<PathStep> path =
            find_path(slices, {range.timeline, position.value, range.end.value});
        if (path.empty()) break;
        const PathStep& step = path.front();
        try {
            const LogReader::Content content = reader_.content(step.slice, call);
            if (content.bytes.size() != step.slice.range.end - step.slice.range.begin)
                corrupt_slice(step.slice.name(), "it has not as much of the log as its name says");
            sink(ByteView(content.bytes).subspan(step.begin - step.slice.range.begin, step.end - step.begin));
            position = Lsn{step.end};
        } catch (const Error& error) {
            if (error.code() != ErrorCode::corrupt && error.code() != ErrorCode::access_denied &&
                error.code() != ErrorCode::not_found)
                throw;
            std::erase(slices, step.slice);
            if (find_path(slices, {range.timeline, position.value, range.end.value}).empty()) throw;
        }
    }
    return position;
}

} // namespace holdfast::postgres
