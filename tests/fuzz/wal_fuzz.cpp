// Decoding a log: any bytes end somewhere, in the same place however they are cut; what is decoded has a
// meaning or is corrupt; and the map of what it changed is encoded and decoded to the same.
//
// The first byte is the server's version, the second how the bytes are cut, the third where they start in the
// first page. With the lowest bit of the second, checksums of records and headers of pages are made right
// first: no fuzzer would guess them.
#include "base/crc32c.h"
#include "base/error.h"
#include "postgres/wal/block_changes.h"
#include "postgres/wal/wal_event.h"
#include "postgres/wal/wal_reader.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>

namespace {

using namespace holdfast;
using namespace holdfast::postgres;

constexpr Lsn begin{std::uint64_t{1} << 24};

void put(Bytes& bytes, std::size_t at, const void* value, std::size_t size) {
    if (at + size <= bytes.size()) std::memcpy(bytes.data() + at, value, size);
}

// Headers for pages and, as far as records can be followed within a page, their links and checksums.
void make_right(Bytes& bytes, int version) {
    std::uint64_t previous = 0;
    for (std::size_t page = 0; page < bytes.size(); page += wal_page_bytes) {
        const std::uint16_t magic = wal_page_magic(version);
        const std::uint64_t address = begin.value + page;
        const std::uint32_t timeline = 1;
        put(bytes, page, &magic, 2);
        put(bytes, page + 4, &timeline, 4);
        put(bytes, page + 8, &address, 8);
        if (page == 0) {
            const std::uint16_t flags = 2;
            const std::uint64_t identifier = 1;
            const std::uint32_t sizes[2] = {1U << 20, 8192};
            put(bytes, 2, &flags, 2);
            put(bytes, 24, &identifier, 8);
            put(bytes, 32, sizes, 8);
        }
        const std::size_t end = std::min(page + wal_page_bytes, bytes.size());
        for (std::size_t at = page + (page == 0 ? 40U : 24U); at + wal_record_header_bytes <= end;) {
            std::uint32_t length;
            std::memcpy(&length, bytes.data() + at, 4);
            if (length < wal_record_header_bytes || length > end - at) break;
            put(bytes, at + 8, &previous, 8);
            const ByteView record = ByteView(bytes).subspan(at, length);
            const std::uint32_t crc = crc32c(crc32c(0, record.subspan(24)), record.first(20));
            put(bytes, at + 20, &crc, 4);
            previous = begin.value + at;
            at += (length + 7) / 8 * 8;
        }
    }
}

struct Result {
    std::vector<std::pair<Lsn, Lsn>> records;
    std::optional<WalEnd> end;
};

Result read(const WalSource& source, Lsn start, ByteView bytes, std::size_t piece, BlockChanges& changes) {
    Result result;
    WalReader reader(source, start, [&](const WalRecord& record) {
        if (record.end <= record.start ||
            (!result.records.empty() && record.start < result.records.back().second))
            std::abort();
        result.records.emplace_back(record.start, record.end);
        try {
            changes.add(record, wal_event::event_of(record, source.version));
        } catch (const Error& error) {
            if (error.code() != ErrorCode::corrupt) throw;
        }
    });
    while (!bytes.empty() && reader.feed(bytes.first(std::min(piece, bytes.size()))))
        bytes = bytes.subspan(std::min(piece, bytes.size()));
    result.end = reader.end();
    return result;
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size < 3) return 0;
    const int version = oldest_wal_version + data[0] % (newest_wal_version - oldest_wal_version + 1);
    const WalSource source{version, 1U << 20, 0, 0};
    Bytes bytes(data + 3, data + size);
    if ((data[1] & 1) != 0) make_right(bytes, version);
    const std::size_t skipped = data[2] % 8 == 0 ? std::size_t{data[2]} * 8 : 0;
    const Lsn start = skipped < 24 ? begin : begin + skipped;
    const ByteView input = ByteView(bytes).subspan(std::min<std::size_t>(start - begin, bytes.size()));

    BlockChanges changes(start);
    BlockChanges again(start);
    const Result whole = read(source, start, input, SIZE_MAX, changes);
    const Result cut = read(source, start, input, 1 + data[1], again);
    if (whole.records != cut.records || whole.end.has_value() != cut.end.has_value()) std::abort();
    if (whole.end && (whole.end->at != cut.end->at || whole.end->reason != cut.end->reason)) std::abort();
    const Bytes encoded = changes.encode();
    if (again.encode() != encoded || BlockChanges::decode(encoded).encode() != encoded) std::abort();
    read_segment_header(bytes);
    return 0;
}
