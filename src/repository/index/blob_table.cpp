#include "repository/index/blob_table.h"

#include "base/error.h"

#include <algorithm>

namespace holdfast {

namespace {

constexpr std::size_t smallest_capacity = 1024;

} // namespace

std::size_t BlobTable::position_of(const BlobId& id) const {
    std::size_t position = home_of(id);
    while (slots_[position].pack != free_slot && slots_[position].id != id) {
        position = (position + 1) & (slots_.size() - 1);
    }
    return position;
}

BlobTable::Finding BlobTable::find(const BlobId& id) const {
    if (slots_.empty()) return {};
    const Slot& slot = slots_[position_of(id)];
    if (slot.pack == free_slot) return {};
    if (slot.pack == claimed_slot) return {.state = State::claimed, .location = {}};
    return {
        .state = State::placed,
        .location = {
            .pack = packs_[slot.pack].id, .frame = slot.frame, .offset = slot.offset, .length = slot.length}};
}

bool BlobTable::claim(const BlobId& id) {
    // At most three quarters full, so that probes stay short.
    if ((used_ + 1) * 4 > slots_.size() * 3) resize(std::max(smallest_capacity, slots_.size() * 2));
    Slot& slot = slots_[position_of(id)];
    if (slot.pack != free_slot) return false;
    slot = {.id = id, .pack = claimed_slot};
    ++used_;
    return true;
}

BlobTable::Slot& BlobTable::claimed(const BlobId& id) {
    if (!slots_.empty()) {
        Slot& slot = slots_[position_of(id)];
        if (slot.pack == claimed_slot) return slot;
    }
    throw Error(ErrorCode::internal, "the blob " + id.hex() + " was not claimed");
}

void BlobTable::place(const BlobId& id, const BlobLocation& location) {
    Slot& slot = claimed(id);
    slot = {.id = id,
            .pack = number_of(location.pack),
            .frame = location.frame,
            .offset = location.offset,
            .length = location.length};
    Pack& pack = packs_[slot.pack];
    ++pack.entries;
    if (pack.stored) ++stored_entries_;
}

void BlobTable::abandon(const BlobId& id) {
    claimed(id);
    erase(position_of(id));
}

// Linear probing without tombstones: what could stand in the hole moves there.
void BlobTable::erase(std::size_t position) {
    const std::size_t mask = slots_.size() - 1;
    std::size_t hole = position;
    for (std::size_t next = (hole + 1) & mask; slots_[next].pack != free_slot; next = (next + 1) & mask) {
        const std::size_t home = home_of(slots_[next].id);
        if (((next - home) & mask) >= ((next - hole) & mask)) {
            slots_[hole] = slots_[next];
            hole = next;
        }
    }
    slots_[hole] = {};
    --used_;
}

void BlobTable::resize(std::size_t capacity) {
    std::vector<Slot> old(capacity);
    old.swap(slots_);
    for (const Slot& slot : old) {
        if (slot.pack != free_slot) slots_[position_of(slot.id)] = slot;
    }
}

std::uint32_t BlobTable::number_of(const PackId& pack) {
    const auto found = pack_numbers_.find(pack);
    if (found != pack_numbers_.end()) return found->second;
    std::uint32_t number = static_cast<std::uint32_t>(packs_.size());
    if (free_packs_.empty()) {
        packs_.push_back({.id = pack});
    } else {
        number = free_packs_.back();
        free_packs_.pop_back();
        packs_[number] = {.id = pack};
    }
    pack_numbers_.emplace(pack, number);
    return number;
}

void BlobTable::pack_stored(const PackId& id) {
    const auto found = pack_numbers_.find(id);
    if (found == pack_numbers_.end()) return;
    Pack& pack = packs_[found->second];
    if (!pack.stored) stored_entries_ += pack.entries;
    pack.stored = true;
}

std::vector<IndexEntry> BlobTable::stored() const {
    std::vector<IndexEntry> entries;
    entries.reserve(stored_entries_);
    for (const Slot& slot : slots_) {
        if (slot.pack >= claimed_slot || !packs_[slot.pack].stored) continue;
        entries.push_back({.id = slot.id, .location = find(slot.id).location});
    }
    return entries;
}

void BlobTable::remove(const std::vector<IndexEntry>& entries) {
    for (const IndexEntry& entry : entries) {
        const std::size_t position = slots_.empty() ? 0 : position_of(entry.id);
        const std::uint32_t number = slots_.empty() ? free_slot : slots_[position].pack;
        if (number >= claimed_slot || packs_[number].id != entry.location.pack || !packs_[number].stored) {
            throw Error(ErrorCode::internal, "the blob " + entry.id.hex() + " is not in a stored pack");
        }
        erase(position);
        --stored_entries_;
        if (--packs_[number].entries == 0) {
            pack_numbers_.erase(packs_[number].id);
            free_packs_.push_back(number);
        }
    }
    // Memory that a burst took is given back.
    std::size_t capacity = slots_.size();
    while (capacity > smallest_capacity && used_ * 4 < capacity) capacity /= 2;
    if (capacity != slots_.size()) resize(capacity);
}

std::size_t BlobTable::memory_bytes() const {
    return slots_.capacity() * sizeof(Slot) + packs_.capacity() * sizeof(Pack) +
           pack_numbers_.size() * (sizeof(PackId) + 24) + pack_numbers_.bucket_count() * 8;
}

} // namespace holdfast
