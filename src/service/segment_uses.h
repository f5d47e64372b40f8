// The files and segments that a verification compares, each once. Internal to verify_repository.
#pragma once

#include "service/verification.h"

#include <mutex>
#include <span>
#include <tuple>
#include <vector>

namespace holdfast {

// A segment as one file has it.
struct SegmentUse {
    Segment segment;
    std::uint64_t length = 0; // bytes of the file in it
    std::uint32_t domain = 0; // in Verification::domains_
    FixedBytes<16> key;       // key_of_segment

    // Those that differ only in their overlays follow one another.
    auto order() const { return std::tie(segment.map.id, segment.signatures.id, domain, length, key); }
};

// Thread-safe but for groups().
class SegmentUses {
  public:
    // True for whoever comes first with this file; `file` is its key_of_file.
    bool claim(const FixedBytes<16>& file, std::uint32_t domain);
    void add(std::vector<SegmentUse> uses);
    // Each segment once, in groups that share their base. They are valid until the next call.
    std::vector<std::span<const SegmentUse>> groups();

  private:
    std::mutex mutex_;
    NodePlaces seen_;
    std::vector<SegmentUse> uses_;
};

} // namespace holdfast
