// Copies frames, as they are, from packs that go into new packs. Needs no content key.
#pragma once

#include "repository/pack/pack_reader.h"
#include "repository/protocol/context.h"
#include "repository/run_context.h"

#include <map>
#include <set>
#include <utility>
#include <vector>

namespace holdfast {

// Not thread-safe. Memory: one new pack for each kind and class. `context` and `run` must outlive it.
class PackCopier {
  public:
    // New packs are made by `run` and end near `pack_bytes`.
    PackCopier(const RepositoryContext& context, const RunContext& run, std::uint64_t pack_bytes)
        : context_(context), run_(run), pack_bytes_(pack_bytes) {}

    // Copies the frames at `positions` of `pack`, whose whole bytes are given.
    void copy(const LoadedPack& pack, ByteView bytes, const std::vector<std::size_t>& positions);
    // Puts what is left. To be called once, at the end.
    void finish();
    // Into which packs the frames of `pack` went; complete after finish().
    std::vector<PackId> targets_of(const PackId& pack) const;
    std::uint64_t copied_bytes() const { return copied_bytes_; }

  private:
    struct OpenPack {
        PackId id;
        PackTail tail;
        std::map<PackId, std::uint32_t> origins; // where in the tail
        Bytes frames;
    };
    OpenPack& open_pack(const PackId& like);
    void put(OpenPack& pack);

    const RepositoryContext& context_;
    const RunContext& run_;
    const std::uint64_t pack_bytes_;
    std::map<std::pair<std::uint8_t, std::uint8_t>, OpenPack> open_; // by kind and class
    std::map<PackId, std::set<PackId>> targets_;
    std::uint32_t next_sequence_ = 0;
    std::uint64_t copied_bytes_ = 0;
};

} // namespace holdfast
