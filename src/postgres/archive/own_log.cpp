#include "postgres/archive/own_log.h"

#include "base/error.h"
#include "base/file_descriptor.h"
#include "repository/log/slice_format.h"

#include <algorithm>

#include <fcntl.h>

namespace holdfast::postgres {

namespace {

// Nothing when a file of it is gone, or too short.
std::optional<Bytes> bytes_of(const LogSliceId& slice, Lsn end, const std::string& wal_directory,
                              std::uint64_t segment_bytes) {
    Bytes bytes(std::min(end.value, slice.range.end) - slice.range.begin);
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

} // namespace

std::optional<LogSliceId> slice_of_another(const Repository& repository, const WalArchive& archive,
                                           std::span<const PathStep> path, const OwnLog& own,
                                           const CallOptions& call) {
    const Secret key = repository.keys().identity_key();
    for (const PathStep& step : path) {
        const LogSliceId& slice = step.slice;
        const bool whole = slice.range.end <= own.end.value;
        if (!whole && !repository.keys().reads_content()) continue;
        const std::optional<Bytes> bytes = bytes_of(slice, own.end, own.directory, own.segment_bytes);
        if (!bytes) continue;
        const bool same =
            whole ? archive.reader().info(slice, call).digest == slice_digest(key.view(), *bytes)
                  : std::ranges::equal(
                        *bytes, ByteView(archive.reader().content(slice, call).bytes).first(bytes->size()));
        if (!same) return slice;
    }
    return std::nullopt;
}

} // namespace holdfast::postgres
