// What the tests of the index share.
#pragma once

#include "base/random.h"
#include "repository/index/segment_reader.h"
#include "repository/index/segment_writer.h"

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

namespace holdfast {

inline SegmentIdentity identity_of(const std::string& name) {
    Secret key(32);
    for (std::size_t i = 0; i < name.size(); ++i) key.mutable_view()[i % 32] ^= static_cast<Byte>(name[i]);
    return {.key = std::move(key), .name = name};
}

inline PackId pack_of(std::uint32_t number) {
    PackId pack;
    pack.run.bytes.fill(static_cast<Byte>(number % 7));
    pack.seq = number;
    return pack;
}

inline BlobLocation random_location(Random& random, std::uint64_t packs = 20) {
    return {.pack = pack_of(static_cast<std::uint32_t>(random.below(packs))),
            .frame = static_cast<std::uint32_t>(random.below(1000)),
            .offset = static_cast<std::uint32_t>(random.below(1 << 20)),
            .length = static_cast<std::uint32_t>(random.below(1 << 20))};
}

inline std::vector<IndexEntry> random_entries(Random& random, std::size_t count) {
    std::vector<IndexEntry> entries(count);
    for (IndexEntry& entry : entries) entry = {.id = random.id<24>(), .location = random_location(random)};
    return entries;
}

inline std::shared_ptr<const ByteSource> source_of(Bytes bytes) {
    return std::make_shared<MemorySource>(std::move(bytes), "a test's segment");
}

inline Bytes encode(const std::string& name, std::vector<IndexEntry> entries) {
    return encode_segment(identity_of(name), entries).joined();
}

inline std::shared_ptr<SegmentReader> reader_of(const std::string& name, std::vector<IndexEntry> entries,
                                                SegmentReaderOptions options = {}) {
    return std::make_shared<SegmentReader>(source_of(encode(name, std::move(entries))), identity_of(name),
                                           options);
}

inline std::vector<IndexEntry> all_of(SegmentReader& reader) {
    std::vector<IndexEntry> entries;
    SegmentCursor cursor(reader, 10000);
    while (auto entry = cursor.next()) entries.push_back(*entry);
    return entries;
}

inline std::vector<IndexEntry> find(SegmentReader& reader, const BlobId& id) {
    std::vector<IndexEntry> found;
    reader.lookup(id, found);
    std::sort(found.begin(), found.end());
    return found;
}

} // namespace holdfast
