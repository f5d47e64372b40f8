#include "postgres/receive/synced_mark.h"

#include "base/bytes.h"
#include "base/crc32c.h"
#include "base/error.h"

#include <filesystem>

#include <fcntl.h>
#include <unistd.h>

namespace holdfast::postgres {

namespace {

constexpr std::uint64_t place_bytes = 4096;
constexpr std::size_t mark_bytes = 8 + 4 + 8; // before its checksum

Bytes encode(std::uint64_t number, WalPosition position) {
    ByteWriter out;
    out.u64(number);
    out.u32(position.timeline);
    out.u64(position.lsn.value);
    const std::uint32_t checksum = crc32c(0, out.bytes());
    out.u32(checksum);
    return std::move(out).take();
}

} // namespace

SyncedMark::SyncedMark(std::string path)
    : path_(std::move(path)), file_(open_file(path_, O_RDWR | O_CREAT, 0600)) {
    load();
    // So that no write of it needs room on a disk that is full.
    if (number_ == 0) write_at(file_.get(), 0, Bytes(2 * place_bytes), path_);
}

void SyncedMark::load() {
    for (std::uint64_t place = 0; place < 2; ++place) {
        Bytes mark(mark_bytes + 4);
        if (read_at(file_.get(), place * place_bytes, mark, path_) != mark.size()) continue;
        ByteReader in(mark, path_);
        const std::uint64_t number = in.u64();
        WalPosition position;
        position.timeline = in.u32();
        position.lsn = Lsn{in.u64()};
        if (mark != encode(number, position) || number <= number_) continue;
        number_ = number;
        position_ = position;
    }
}

void SyncedMark::write(WalPosition position) {
    const bool is_new = number_ == 0;
    const std::uint64_t number = number_ + 1;
    write_at(file_.get(), number % 2 * place_bytes, encode(number, position), path_);
    if (::fdatasync(file_.get()) != 0) throw system_error(errno, path_);
    if (is_new) sync_directory(std::filesystem::path(path_).parent_path().string());
    number_ = number;
    position_ = position;
}

} // namespace holdfast::postgres
