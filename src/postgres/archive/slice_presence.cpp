#include "postgres/archive/slice_presence.h"

#include "base/error.h"

#include <algorithm>
#include <optional>

namespace holdfast::postgres {

namespace {

bool is_of_the_slice(const Error& error) {
    switch (error.code()) {
    case ErrorCode::corrupt:
    case ErrorCode::not_found:
    case ErrorCode::access_denied:
    case ErrorCode::wrong_key:
    case ErrorCode::incompatible:
        return true;
    default:
        return false;
    }
}

// Nothing when it cannot be read.
std::optional<SliceDigest> digest_of(const WalArchive& archive, const LogSliceId& slice,
                                     const CallOptions& call) {
    try {
        return archive.reader().info(slice, call).digest;
    } catch (const Error& error) {
        if (!is_of_the_slice(error)) throw;
        return std::nullopt;
    }
}

SlicePresence compare(const WalArchive& archive, const LogWriter& log, bool reads_content,
                      const CutSlice& slice, const CallOptions& call) {
    const WalRange range{slice.range.branch, Lsn{slice.range.begin}, Lsn{slice.range.end}};
    const std::vector<LogSliceId> there = archive.slices_of(range, call);
    if (there.empty()) return SlicePresence::unknown;
    const SliceDigest digest = log.digest_of(slice.content);
    bool another = false;
    for (const LogSliceId& known : there) {
        if (known.range != slice.range) continue;
        const std::optional<SliceDigest> of_known = digest_of(archive, known, call);
        if (of_known == digest) return SlicePresence::same;
        another = another || of_known;
    }
    if (another) return SlicePresence::other;
    if (!reads_content) return SlicePresence::unknown;
    bool equal = true;
    std::size_t offset = 0;
    const Lsn end = archive.read(
        range,
        [&](ByteView bytes) {
            equal = equal && std::ranges::equal(bytes, ByteView(slice.content).subspan(offset, bytes.size()));
            offset += bytes.size();
        },
        call);
    if (!equal) return SlicePresence::other;
    return end == range.end ? SlicePresence::same : SlicePresence::unknown;
}

} // namespace

// A slice that cannot be read does not stand in the way of a good one.
SlicePresence presence_of(const WalArchive& archive, const LogWriter& log, bool reads_content,
                          const CutSlice& slice, const CallOptions& call) {
    try {
        return compare(archive, log, reads_content, slice, call);
    } catch (const Error& error) {
        if (!is_of_the_slice(error)) throw;
        return SlicePresence::unknown;
    }
}

} // namespace holdfast::postgres
