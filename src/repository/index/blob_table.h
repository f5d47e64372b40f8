// The blobs that the running backup has claimed and stored, and that no segment names yet.
#pragma once

#include "repository/index/index_entry.h"

#include <optional>
#include <unordered_map>
#include <vector>

namespace holdfast {

// A blob is claimed by whoever found it first, placed when its frame has an address, and may go into a
// segment once its pack is stored (docs/format.md, section 10, W4). An open hash table of 40 bytes a blob.
// Not thread-safe: IndexSet guards it.
class BlobTable {
  public:
    enum class State { unknown, claimed, placed };
    struct Finding {
        State state = State::unknown;
        BlobLocation location; // placed only
    };

    Finding find(const BlobId& id) const;
    // False when the table has it already.
    bool claim(const BlobId& id);
    // Says where a claimed blob lies. Throws Error(internal) unless it is claimed and not placed.
    void place(const BlobId& id, const BlobLocation& location);
    // Gives a claim up: the next one to find the blob claims it anew. Throws like place().
    void abandon(const BlobId& id);
    // The pack has been put. Nothing happens when no blob was placed in it.
    void pack_stored(const PackId& pack);

    // How many blobs lie in stored packs.
    std::uint64_t stored_entries() const { return stored_entries_; }
    // Those entries, in no order. All of them: taking a part in the order of the slots would leave the others
    // crowded at one end of the table, where each look-up searches long.
    std::vector<IndexEntry> stored() const;
    // Takes `entries`, which stored() gave, out of the table.
    void remove(const std::vector<IndexEntry>& entries);

    std::size_t size() const { return used_; }
    std::size_t memory_bytes() const;

  private:
    struct Slot {
        BlobId id{};
        std::uint32_t pack = free_slot;
        std::uint32_t frame = 0;
        std::uint32_t offset = 0;
        std::uint32_t length = 0;
    };
    struct Pack {
        PackId id;
        std::uint64_t entries = 0;
        bool stored = false;
    };
    static constexpr std::uint32_t free_slot = 0xffffffff;
    static constexpr std::uint32_t claimed_slot = 0xfffffffe;

    std::size_t home_of(const BlobId& id) const { return id.prefix() & (slots_.size() - 1); }
    // The slot of `id`, or the free one where it would go. The table is not empty.
    std::size_t position_of(const BlobId& id) const;
    void resize(std::size_t capacity);
    void erase(std::size_t position);
    std::uint32_t number_of(const PackId& pack);
    Slot& claimed(const BlobId& id);

    std::vector<Slot> slots_; // a power of two
    std::size_t used_ = 0;
    std::uint64_t stored_entries_ = 0;
    std::vector<Pack> packs_;
    std::vector<std::uint32_t> free_packs_;
    std::unordered_map<PackId, std::uint32_t, PackIdHash> pack_numbers_;
};

} // namespace holdfast
