#include "postgres/archive/own_log.h"

#include "base/error.h"
#include "base/file_descriptor.h"
#include "repository/log/slice_format.h"

#include <map>

#include <fcntl.h>

namespace holdfast::postgres {

namespace {

// Nothing when a file of it is gone, or too short.
std::optional<Bytes> bytes_of(const LogSliceId& slice, const std::string& wal_directory,
                              std::uint64_t segment_bytes) {
    Bytes bytes(slice.range.end - slice.range.begin);
    try {
        for (std::size_t done = 0; done < bytes.size();) {
            const Lsn at{slice.range.begin + done};
            const std::uint64_t offset = at.value % segment_bytes;
            const std::size_t size = std::min<std::size_t>(bytes.size() - done, segment_bytes - offset);
            const std::string path =
                wal_directory + "/" + segment_name(slice.range.branch, at, segment_bytes);
            const FileDescriptor file = open_file(path, O_RDONLY);
            if (read_at(file.get(), offset, MutableByteView(bytes).subspan(done, size), path) != size)
                return std::nullopt;
            done += size;
        }
    } catch (const Error& error) {
        if (error.code() != ErrorCode::not_found) throw;
        return std::nullopt;
    }
    return bytes;
}

template <typename Value>
bool contradict(const Value& one, const Value& other) {
    return one != Value{} && other != Value{} && one != other;
}

// A slice that was cut without what is before it does not describe the record that crosses its beginning:
// then its first record is another one, and that says nothing.
bool may_be_one_log(const LogSliceId& a, const WalDetails& of_a, const LogSliceId& b,
                    const WalDetails& of_b) {
    if (a.range.begin == b.range.begin && of_a.records_from == of_b.records_from &&
        (contradict(of_a.previous, of_b.previous) || contradict(of_a.first_commit_us, of_b.first_commit_us)))
        return false;
    const bool whole = of_a.broken.empty() && of_b.broken.empty();
    return !(whole && a.range.end == b.range.end &&
             (contradict(of_a.last, of_b.last) || contradict(of_a.last_commit_us, of_b.last_commit_us)));
}

} // namespace

std::optional<LogSliceId> slice_of_another(const Repository& repository, const WalArchive& archive,
                                           std::span<const PathStep> path, const std::string& wal_directory,
                                           std::uint64_t segment_bytes, const CallOptions& call) {
    const Secret key = repository.keys().identity_key();
    for (const PathStep& step : path) {
        const std::optional<Bytes> own = bytes_of(step.slice, wal_directory, segment_bytes);
        if (!own) continue;
        const SliceDigest digest = slice_digest(key.view(), *own);
        if (archive.reader().info(step.slice, call).digest != digest) return step.slice;
    }
    return std::nullopt;
}

std::optional<std::pair<LogSliceId, LogSliceId>>
contradiction(const WalArchive& archive, std::span<const LogSliceId> slices, const CallOptions& call) {
    std::map<std::uint64_t, const LogSliceId*> by_begin, by_end;
    for (const LogSliceId& slice : slices) {
        if (slice.range.begin == slice.range.end) continue;
        for (const LogSliceId* other : {by_begin.try_emplace(slice.range.begin, &slice).first->second,
                                        by_end.try_emplace(slice.range.end, &slice).first->second}) {
            if (other == &slice) continue;
            if (!may_be_one_log(*other, archive.details(*other, call), slice, archive.details(slice, call)))
                return std::pair(*other, slice);
        }
    }
    return std::nullopt;
}

} // namespace holdfast::postgres
