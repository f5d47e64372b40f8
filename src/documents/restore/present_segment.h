// What a file that is there has of a segment of the file that is wanted, told by page signatures.
#pragma once

#include "repository/content/content_reader.h"
#include "repository/split/page_signatures.h"

#include <functional>
#include <memory>
#include <mutex>
#include <vector>

namespace holdfast {

// Each page is read and compared once, together with those around it, when one of them is asked for first.
// Thread-safe, if what it is given is.
class PresentSegment final : public PresentContent {
  public:
    // As many bytes as there are, at most out.size().
    using Read = std::function<std::size_t(std::uint64_t file_offset, MutableByteView out)>;
    // Told of every stretch of pages that are right.
    using Same = std::function<void(std::uint64_t file_offset, ByteView bytes)>;

    // Of the segment that begins at `start` of its file and has `length` bytes there; `wanted` are the
    // signatures of its pages.
    PresentSegment(std::shared_ptr<const PageSigner> signer, std::uint64_t start, std::uint64_t length,
                   std::vector<PageSignature> wanted, Read read, Same same);

    // Pages that are to be holes are not missing: there is nothing to fetch for them.
    std::vector<FileRange> missing(std::uint64_t file_offset, std::uint64_t length) override;

  private:
    void compare(std::uint64_t block);

    const std::shared_ptr<const PageSigner> signer_;
    const std::uint64_t start_;
    const std::uint64_t length_;
    const std::vector<PageSignature> wanted_;
    const Read read_;
    const Same same_;
    std::vector<std::once_flag> compared_; // by block
    std::vector<Byte> right_;              // by page, once its block was compared
};

} // namespace holdfast
