// Finding pages of a file that have changed since an earlier snapshot though nobody said so.
#pragma once

#include "postgres/wal/lsn.h"
#include "repository/content/content_source.h"
#include "repository/content/stored_content.h"

#include <cstdint>
#include <vector>

namespace holdfast::postgres {

// For one file. Not thread-safe; what it refers to must outlive it.
class PageComparison {
  public:
    // `named` are the pages that are said to have changed. What has changed since `start`, where this backup
    // began, is for the next one to be told.
    PageComparison(StoredContent before, std::vector<PageRange> named, std::uint32_t block_bytes, Lsn start)
        : before_(std::move(before)), named_(std::move(named)), block_bytes_(block_bytes), start_(start) {}

    // `page` is one of page_bytes, at `offset` of `file`, which may differ from the earlier one.
    void look_at(std::uint64_t offset, ByteView page, ContentSource& file);
    // All pages of a file.
    void look_at_all(ByteView bytes, ContentSource& file);
    // The blocks, counted from the start of the file, that differ by more than hints and were not named.
    const std::vector<std::uint32_t>& found() const { return found_; }

  private:
    bool differs(std::uint64_t at, Bytes now);

    StoredContent before_;
    std::vector<PageRange> named_;
    std::uint64_t block_bytes_;
    Lsn start_;
    std::vector<std::uint32_t> found_;
};

} // namespace holdfast::postgres
