#include "postgres/capture/polite_files.h"

#include <algorithm>

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

namespace holdfast::postgres {

namespace {

constexpr std::uint64_t window_bytes = std::uint64_t{64} << 20;

std::uint64_t machine_page_bytes() {
    static const auto bytes = static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
    return bytes;
}

// Drops the pages of [begin, end) that are not in `kept`, which begins at `kept_from`.
void drop_pages(int fd, std::uint64_t begin, std::uint64_t end, const std::vector<bool>& kept,
                std::uint64_t kept_from) {
    const std::uint64_t unit = machine_page_bytes();
    const auto is_kept = [&](std::uint64_t page) {
        const std::uint64_t index = page - kept_from / unit;
        return index < kept.size() && kept[index];
    };
    const std::uint64_t last = (end + unit - 1) / unit;
    for (std::uint64_t page = begin / unit; page < last;) {
        std::uint64_t next = page + 1;
        while (next < last && is_kept(next) == is_kept(page)) ++next;
        if (!is_kept(page)) {
            ::posix_fadvise(fd, static_cast<off_t>(page * unit), static_cast<off_t>((next - page) * unit),
                            POSIX_FADV_DONTNEED);
        }
        page = next;
    }
}

class PoliteFile final : public ClusterFile {
  public:
    PoliteFile(FileReader reader, Access access) : reader_(std::move(reader)), access_(access) {
        if (access == Access::pieces) {
            ::posix_fadvise(reader_.fd(), 0, 0, POSIX_FADV_RANDOM);
            return;
        }
        cached_ = cached_pages(reader_.fd(), 0, reader_.size_bytes());
        all_cached_ = std::ranges::find(cached_, false) == cached_.end();
        if (all_cached_) cached_ = {};
    }

    std::uint64_t size_bytes() const override { return reader_.size_bytes(); }
    Result<std::optional<FileExtent>> next_extent() override { return reader_.next_extent(); }

    Result<std::size_t> read(std::uint64_t offset, MutableByteView out) override {
        if (access_ == Access::everything) {
            Result<std::size_t> got = reader_.read(offset, out);
            // What was appended since is new to the cache because the server has just written it.
            const std::uint64_t end = std::min(offset + out.size(), reader_.size_bytes());
            if (!all_cached_ && offset < end) drop_pages(reader_.fd(), offset, end, cached_, 0);
            return got;
        }
        const std::uint64_t begin = offset / machine_page_bytes() * machine_page_bytes();
        const std::vector<bool> cached = cached_pages(reader_.fd(), begin, offset + out.size() - begin);
        Result<std::size_t> got = reader_.read(offset, out);
        drop_pages(reader_.fd(), begin, offset + out.size(), cached, begin);
        return got;
    }

  private:
    FileReader reader_;
    Access access_;
    bool all_cached_ = false;
    std::vector<bool> cached_; // when the file was opened
};

} // namespace

std::vector<bool> cached_pages(int fd, std::uint64_t offset, std::uint64_t length) {
    const std::uint64_t unit = machine_page_bytes();
    std::vector<bool> cached((length + unit - 1) / unit, true);
    std::vector<unsigned char> states;
    for (std::uint64_t done = 0; done < length; done += window_bytes) {
        const std::size_t now = std::min(window_bytes, length - done);
        void* const map = ::mmap(nullptr, now, PROT_READ, MAP_SHARED, fd, static_cast<off_t>(offset + done));
        if (map == MAP_FAILED) return cached;
        states.resize((now + unit - 1) / unit);
        const bool known = ::mincore(map, now, states.data()) == 0;
        ::munmap(map, now);
        for (std::size_t i = 0; known && i < states.size(); ++i)
            cached[done / unit + i] = (states[i] & 1) != 0;
    }
    return cached;
}

Result<std::unique_ptr<ClusterFile>> PoliteFiles::open(int directory_fd, const std::string& name,
                                                       const std::string& /*path*/, Access access) {
    FileMetadata metadata;
    Result<FileReader> reader = FileReader::open(directory_fd, name, metadata);
    if (!reader) return std::unexpected(reader.error());
    return std::make_unique<PoliteFile>(std::move(*reader), access);
}

} // namespace holdfast::postgres
