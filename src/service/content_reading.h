// What a verification reads again to compare it: nodes, and the bytes of files. Internal to
// verify_repository.
#pragma once

#include "crypto/hash.h"
#include "repository/node/entry.h"
#include "repository/node/segment_content.h"
#include "repository/split/page_signatures.h"
#include "service/verification.h"

#include <memory>
#include <string>
#include <vector>

namespace holdfast {

// The extents within [begin, end), cut to it, without holes. `extents` ascend.
std::vector<Extent> cut(const std::vector<Extent>& extents, std::uint64_t begin, std::uint64_t end);

// One a thread. The verification must outlive it.
class ContentReading {
  public:
    // What hashes files of one domain.
    struct Domain {
        Hasher digest;
        PageSigner signer;
    };

    explicit ContentReading(Verification& verification);

    // By its number in Verification::domains_. Null when the keys are not those of this domain.
    Domain* domain(std::uint32_t number);
    // Whether what lies in this frame was read and found right: else there is nothing to compare, or it has
    // been told.
    bool is_known(const FrameAddress& frame) const;
    // Whether what lies there is, by itself, the blob of which `digest` is the beginning.
    bool is_blob(const Extent& extent, const ContentDigest& digest);

    // Throws what NodeReader throws.
    Bytes node(const NodeRef& reference);
    // The bytes from `begin` to `end`, holes as zeros, valid until the next call. Each frame is read once.
    // Throws what PackReader throws, and Error(corrupt) for an extent that its frame is too short for.
    ByteView assemble(std::vector<Extent> extents, std::uint64_t begin, std::uint64_t end);
    // node(), for segment_content.h.
    ReadNode nodes() {
        return [this](const NodeRef& reference) { return node(reference); };
    }

    // The pack where the frame lies now.
    std::string holder_name(const FrameAddress& frame) const;
    // That of what was asked for last: when that threw, of what could not be read.
    std::string holder_name() const { return holder_name(at_); }

  private:
    Verification& v_;
    std::vector<std::unique_ptr<Domain>> domains_;
    FrameAddress at_;
    Bytes block_;
};

} // namespace holdfast
