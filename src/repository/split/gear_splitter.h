// Cuts documents where their content says so (docs/format.md, section 6), so that what was inserted or moved
// leaves the chunks around it as they were.
//
// The hash is Gear, from Xia et al., "Ddelta: A deduplication-inspired fast delta compression approach"
// (2014): one shift and one addition a byte, over the last 64 bytes. Its table is keyed, so that the lengths
// of chunks tell an outsider nothing about known content; and the threshold falls with the length, as in
// "FastCDC" (2016).
#pragma once

#include "repository/split/splitter.h"

#include <array>
#include <cstdint>

namespace holdfast {

using GearTable = std::array<std::uint64_t, 256>;

// The table of a domain. `identity_key` has 32 bytes. The table is as secret as the boundaries that follow
// from it; it does not reveal the key.
GearTable gear_table(ByteView identity_key);

class GearSplitter final : public Splitter {
  public:
    static constexpr std::size_t shortest_bytes = std::size_t{64} << 10;
    static constexpr std::size_t easier_from_bytes = std::size_t{256} << 10;

    explicit GearSplitter(const GearTable& table) : table_(table) {}

    std::size_t next_cut(ByteView data, bool at_end) override;
    void restart() override { rejected_below_ = 0; }

  private:
    GearTable table_;
    // No length below this one is a cut: what earlier calls for the same chunk have found.
    std::size_t rejected_below_ = 0;
};

} // namespace holdfast
