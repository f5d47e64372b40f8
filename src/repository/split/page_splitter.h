// Cuts runs of pages, for files that change in place: a page that changed leaves its neighbours where they
// were.
#pragma once

#include "crypto/page_hash.h"
#include "repository/split/splitter.h"

namespace holdfast {

// Chunks begin at page boundaries when the run does, and are as long as a frame may be; only the end of a run
// may be shorter, and only the end of a file may be less than a whole page.
class PageSplitter final : public Splitter {
  public:
    std::size_t next_cut(ByteView data, bool at_end) override {
        if (data.size() >= longest_chunk_bytes) return longest_chunk_bytes;
        return at_end ? data.size() : 0;
    }
    void restart() override {}

    static_assert(longest_chunk_bytes % page_bytes == 0);
};

} // namespace holdfast
