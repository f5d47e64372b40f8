// Which pages of a large file may differ from those of an earlier snapshot, as its source knows.
#pragma once

#include "repository/split/page_signatures.h"

#include <cstdint>
#include <span>
#include <vector>

namespace holdfast {

// Immutable.
class KnownChanges {
  public:
    // Everything may differ.
    KnownChanges() = default;
    // `ranges` ascend and are apart, and outlive this. When the file has grown or shrunk, what lies behind
    // both its sizes differs, and so does the page in which the shorter one ends.
    KnownChanges(std::span<const PageRange> ranges, std::uint64_t old_bytes, std::uint64_t new_bytes);

    // Whether any of `count` pages from `first` on may differ.
    bool any(std::uint64_t first, std::uint64_t count) const;
    // Sets those of `pages`, which begin at `first`, that may differ.
    void mark(std::uint64_t first, std::vector<bool>& pages) const;

  private:
    std::span<const PageRange> ranges_;
    std::uint64_t all_from_ = 0; // every page from here on may differ
};

} // namespace holdfast
