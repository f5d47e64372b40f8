#include "postgres/archive/older_names.h"

#include "base/file_descriptor.h"
#include "postgres/archive/unfinished_file.h"
#include "postgres/wal/wal_reader.h"

#include <algorithm>
#include <filesystem>
#include <functional>

#include <fcntl.h>

namespace holdfast::postgres {

namespace fs = std::filesystem;

namespace {

constexpr std::size_t chunk_bytes = std::size_t{1} << 20;

// The first `bytes` of a file in pieces, until `use` says false. False then, or when the file ends before.
bool read_beginning(const std::string& path, std::uint64_t bytes, const std::function<bool(ByteView)>& use) {
    const FileDescriptor file = open_file(path, O_RDONLY);
    Bytes chunk(std::min<std::uint64_t>(bytes, chunk_bytes));
    for (std::uint64_t done = 0; done < bytes;) {
        const MutableByteView wanted =
            MutableByteView(chunk).first(std::min<std::uint64_t>(bytes - done, chunk.size()));
        if (read_at(file.get(), done, wanted, path) != wanted.size() || !use(wanted)) return false;
        done += wanted.size();
    }
    return true;
}

bool have_same_beginning(const std::string& one, const std::string& other, std::uint64_t bytes) {
    if (!fs::exists(other)) return false;
    const FileDescriptor file = open_file(other, O_RDONLY);
    Bytes there;
    std::uint64_t done = 0;
    return read_beginning(one, bytes, [&](ByteView chunk) {
        there.resize(chunk.size());
        const std::size_t read = read_at(file.get(), done, there, other);
        done += chunk.size();
        return read == chunk.size() && std::ranges::equal(there, chunk);
    });
}

void mark_as_archived(const fs::path& segment) {
    const fs::path status = segment.parent_path() / "archive_status";
    if (!fs::is_directory(status)) return;
    const std::string mark = status / (segment.filename().string() + ".done");
    open_file(mark, O_WRONLY | O_CREAT, 0600).close(mark);
}

} // namespace

bool begins_on_older_timeline(const std::string& path, TimelineId timeline) {
    Bytes page(wal_page_bytes);
    page.resize(read_at(open_file(path, O_RDONLY).get(), 0, page, path));
    const auto header = read_segment_header(page);
    return header && header->timeline < timeline;
}

void leave_older_names(const std::string& path, const WalRange& segment, const TimelineHistory& history) {
    for (const TimelineHistory::Ancestor& ancestor : history.ancestors()) {
        if (ancestor.end <= segment.begin || ancestor.end >= segment.end) continue;
        const fs::path older =
            fs::path(path).replace_filename(segment_name(ancestor.timeline, segment.begin, segment.bytes()));
        const std::uint64_t bytes = ancestor.end - segment.begin;
        if (have_same_beginning(path, older, bytes)) continue;
        // First, so that no server finds the file without it.
        mark_as_archived(older);
        UnfinishedFile file(older);
        read_beginning(path, bytes, [&](ByteView chunk) {
            file.append(chunk);
            return true;
        });
        file.finish(segment.bytes());
    }
}

} // namespace holdfast::postgres
