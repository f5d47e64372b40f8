// The reader of index segments, past its encryption: what a writer who holds the keys could put. Parts are
// taken from the input in their plain form and sealed here, so that every parser is reached.
#include "base/error.h"
#include "repository/index/segment_reader.h"

#include <algorithm>
#include <cstdlib>

namespace {

using namespace holdfast;

SegmentIdentity identity() { return {.key = Secret(32), .name = "index/fuzz"}; }

// What was read can be written, and is then read back the same.
void expect_written_again(std::vector<IndexEntry> entries) noexcept {
    Bytes body = encode_segment(identity(), entries).joined(); // puts them in order
    SegmentReader reader(std::make_shared<MemorySource>(std::move(body), "fuzz"), identity());
    SegmentCursor cursor(reader, 1);
    for (const IndexEntry& entry : entries) {
        if (cursor.next() != entry) std::abort();
    }
    if (cursor.next()) std::abort();
}

void read_all(Bytes body) {
    try {
        SegmentReader reader(std::make_shared<MemorySource>(std::move(body), "fuzz"), identity());
        SegmentCursor cursor(reader, 1);
        std::vector<IndexEntry> found;
        BlobId id;
        reader.lookup(id, found);
        std::vector<IndexEntry> all;
        while (const auto entry = cursor.next()) {
            all.push_back(*entry);
            found.clear();
            reader.lookup(entry->id, found);
            for (const IndexEntry& other : found) {
                if (other.id != entry->id) std::abort();
            }
        }
        expect_written_again(std::move(all));
    } catch (const Error& error) {
        if (error.code() != ErrorCode::corrupt) throw;
    }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const ByteView input(data, size);
    read_all(Bytes(input.begin(), input.end()));
    if (size < segment_header_bytes) return 0;
    // The header as given; the parts behind it, as far as it can be believed.
    const ByteView header_bytes = input.first(segment_header_bytes);
    ByteReader reader(header_bytes, "header");
    SegmentHeader header;
    header.entries = reader.u64() % 400;
    header.entries_per_block = 1 + reader.u32() % 100;
    header.blocks = reader.u32();
    header.filter_bytes = 32 * (1 + reader.u64() % 8);
    header.pack_table_bytes = 24 * (reader.u64() % 8);
    header.blocks = static_cast<std::uint32_t>((header.entries + header.entries_per_block - 1) /
                                               header.entries_per_block);
    Bytes body = header.encode();
    ByteView rest = input.subspan(segment_header_bytes);
    const SegmentIdentity who = identity();
    Aead aead(who.key.view());
    const Bytes encoded = body;
    const auto add = [&](std::uint32_t part, std::uint64_t bytes) {
        Bytes plain(static_cast<std::size_t>(bytes));
        const std::size_t given = std::min(plain.size(), rest.size());
        std::copy_n(rest.data(), given, plain.data());
        rest = rest.subspan(given);
        const Bytes sealed = aead.seal(part, segment_associated_data(who.name, part, encoded), plain);
        body.insert(body.end(), sealed.begin(), sealed.end());
    };
    add(segment_pack_table_part, header.pack_table_bytes);
    add(segment_first_keys_part, header.first_keys_bytes());
    add(segment_filter_part, header.filter_bytes);
    for (std::uint32_t block = 0; block < header.blocks; ++block) {
        add(segment_first_block_part + block, header.entries_in_block(block) * segment_record_bytes);
    }
    try {
        read_all(std::move(body));
    } catch (const Error&) {
        std::abort();
    }
    return 0;
}
