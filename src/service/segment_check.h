// The pages of large files, compared with their signatures. Internal to verify_repository.
#pragma once

#include "service/content_reading.h"
#include "service/segment_uses.h"

#include <span>
#include <vector>

namespace holdfast {

// One a thread. The verification must outlive it.
class SegmentCheck {
  public:
    explicit SegmentCheck(Verification& verification) : v_(verification), reading_(verification) {}

    // Segments that share their base: of each the pages that the one before it does not have. What is wrong
    // or cannot be read becomes a finding, and the others are checked all the same. Throws Error(cancelled),
    // and what says nothing about the repository.
    void check(std::span<const SegmentUse> uses);

  private:
    // What a segment consists of.
    struct State {
        std::vector<Extent> extents;
        std::vector<PageSignature> pages;
        std::uint64_t length = 0;
    };

    static bool same_page(const State& a, const State& b, std::uint64_t page);
    bool check_pages(const State& state, const State& proven, const SegmentUse& use);
    bool check_run(const State& state, std::uint64_t first, std::uint64_t last, ContentReading::Domain& tools,
                   const SegmentUse& use);
    void mark_bad(const SegmentUse& use);

    Verification& v_;
    ContentReading reading_;
    std::vector<PageSignature> signatures_;
};

} // namespace holdfast
