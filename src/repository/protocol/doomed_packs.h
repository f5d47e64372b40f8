// Which packs and frames a collector condemns, or has decided to delete.
//
// Frames are named by their address, that is by the pack they were encrypted for, wherever they lie now: that
// is how snapshots and indexes name them. A pack that is removed is named by itself.
#pragma once

#include "repository/node/location.h"

#include <map>
#include <optional>
#include <vector>

namespace holdfast {

struct DoomedPack {
    bool removed = false;     // the object of this name goes
    bool all_frames = false;  // no frame with this address will be left anywhere
    std::vector<bool> frames; // else these, by number
    bool operator==(const DoomedPack&) const = default;
};

// Reading is thread-safe while nobody changes it.
class DoomedPacks {
  public:
    void remove_pack(const PackId& pack) { packs_[pack].removed = true; }
    void add_frame(const FrameAddress& frame);
    void add_all_frames(const PackId& pack);
    void merge(const DoomedPacks& other);

    bool removes(const PackId& pack) const;
    bool dooms(const FrameAddress& frame) const;
    const std::map<PackId, DoomedPack>& packs() const { return packs_; }
    bool empty() const { return packs_.empty(); }
    bool operator==(const DoomedPacks&) const = default;

    // varint runs; per run: id16 | varint packs; per pack, ascending by sequence, kind, class:
    //   kind u8 | class u8 | varint seq | flags u8 (1 removed, 2 all frames) | varint bitmap bytes | bitmap,
    //   low bits first
    // Without flag 2 the bitmap's last byte is not zero; with it there is none.
    void encode(ByteWriter& out) const;
    // Throws Error(corrupt) on anything that encode would not have written.
    static DoomedPacks decode(ByteReader& in);

  private:
    std::map<PackId, DoomedPack> packs_;
};

// Kind, class and sequence of a pack: how packs follow each other within a run wherever this module writes
// them.
void encode_pack_in_run(ByteWriter& out, const PackId& pack);
PackId decode_pack_in_run(ByteReader& in, const RunId& run);

} // namespace holdfast
