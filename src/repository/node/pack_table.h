// The table of packs at the head of every node, and the locations that point into it (docs/format.md, section
// 7).
//
// A node names each run and each pack once, in the order in which they are first used. That makes encodings
// canonical: what decodes is, byte for byte, what encoding the result again would give, and everything else
// is refused.
#pragma once

#include "base/bytes.h"
#include "repository/node/location.h"
#include "repository/node/node.h"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <unordered_map>
#include <vector>

namespace holdfast {

// The number of bytes that ByteWriter::varint writes.
constexpr std::size_t varint_size(std::uint64_t value) {
    std::size_t size = 1;
    while (value >= 0x80) {
        value >>= 7;
        ++size;
    }
    return size;
}

// Collects the packs that a node's body uses, while the body is written. Locations that are impossible
// (empty, longer than a frame, a node outside metadata packs, data in them) throw Error(internal). Not
// thread-safe.
class PackTableWriter {
  public:
    // Append to `body` what refers to the pack by its place in this table.
    void location(ByteWriter& body, const Location& location);
    void reference(ByteWriter& body, const NodeRef& reference);
    // Extents in ascending order. Each must end at `end` or before; holes are allowed only when `holes` is.
    void extents(ByteWriter& body, const std::vector<Extent>& extents, std::uint64_t end, bool holes);

    // The bytes that head() appends.
    std::size_t encoded_size() const;
    // Appends kind, runs and packs.
    void head(ByteWriter& out, NodeKind kind) const;
    void clear();

  private:
    std::uint32_t index_of(const PackId& pack);

    std::vector<RunId> runs_;
    std::vector<std::pair<std::uint32_t, PackId>> packs_; // run index, pack
    std::unordered_map<RunId, std::uint32_t, FixedBytesHash> run_index_;
    std::unordered_map<PackId, std::uint32_t, PackIdHash> pack_index_;
    std::optional<std::pair<PackId, std::uint32_t>> last_; // neighbours mostly lie in one pack
    std::size_t packs_size_ = 0;
};

// Reads the head of a node, then locations. Everything that PackTableWriter would not have written throws
// Error(corrupt).
class PackTableReader {
  public:
    // `in` stands at the start of the node, and behind the head afterwards.
    PackTableReader(ByteReader& in, NodeKind kind);

    void location(ByteReader& in, Location& location);
    void reference(ByteReader& in, NodeRef& reference);
    // Replaces what `extents` holds; the same rules as for PackTableWriter::extents.
    void extents(ByteReader& in, std::vector<Extent>& extents, std::uint64_t end, bool holes);
    // To be called at the end: throws unless the node is at its end and all packs were used.
    void finish(const ByteReader& in) const;

  private:
    const PackId& pack(ByteReader& in);

    std::vector<PackId> packs_;
    std::size_t used_ = 0;
};

} // namespace holdfast
