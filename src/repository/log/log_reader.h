// Reading a log archive.
#pragma once

#include "base/error.h"
#include "repository/log/slice_format.h"
#include "repository/protocol/context.h"

#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace holdfast {

// The slices of an archive, by branch, then begin, as their names say; those that end at or before `from` are
// left out, but for what is said of branches as a whole. One listing.
std::vector<LogSliceId> list_slices(Store& store, const ArchiveId& archive, std::uint64_t from = 0,
                                    const CallOptions& call = {});

// Those of one branch that overlap `range`, by begin: a short listing, however large the archive.
std::vector<LogSliceId> list_slices_of(Store& store, const ArchiveId& archive, const LogRange& range,
                                       const CallOptions& call = {});
// Those of no length, which a branch may have: what they say is in their details.
std::vector<LogSliceId> list_branch_slices(Store& store, const ArchiveId& archive, std::uint32_t branch,
                                           const CallOptions& call = {});

// Reads slices. What it returns was proven: to be what a writer who counts has encrypted under that name.
// Thread-safe. The context must outlive it.
//
// Every function throws Error(not_found) when the slice is gone, Error(corrupt), Error(access_denied) when
// its writer may not write logs of this domain, and Error(wrong_key) when the holder may not read it.
class LogReader {
  public:
    explicit LogReader(const RepositoryContext& context) : context_(context) {}

    // Of a few kilobytes.
    SliceInfo info(const LogSliceId& slice, const CallOptions& call = {}) const;
    // Empty when it has none.
    Bytes summary(const LogSliceId& slice, const CallOptions& call = {}) const;
    struct Content {
        SliceInfo info;
        Bytes bytes;
    };
    // The whole, with its signature, and as long as its name says. Needs the content key; with the identity
    // key of the domain, the digest is checked too.
    Content content(const LogSliceId& slice, const CallOptions& call = {}) const;
    // The bytes of it from one position to another, which lie in it. Reads no more than the frames that hold
    // them, each of which is proven by itself; the digest of the whole is not.
    Bytes part(const LogSliceId& slice, std::uint64_t begin, std::uint64_t end,
               const CallOptions& call = {}) const;
    // Reads a few kilobytes, and checks that who may write here has written a slice of this name, and signed
    // all that info() and summary() tell: needs no key.
    void check_beginning(const LogSliceId& slice, const CallOptions& call = {}) const;
    // All of it, at the price of the content.
    struct Whole {
        SliceInfo info;
        Bytes summary; // empty when it has none
        Bytes bytes;
    };
    Whole whole(const LogSliceId& slice, const CallOptions& call = {}) const;
    // Reads the whole and compares signature and digest of the object: needs no key.
    void check(const LogSliceId& slice, const CallOptions& call = {}) const;

    // Whether `error`, which one of these has thrown of the slice, says that it is none that counts: gone,
    // damaged, or of a writer who may not write here. False for what is the matter with the store or the key.
    // Throws when the store denies the slice to us, which looks alike.
    bool is_refusal(const LogSliceId& slice, const Error& error, const CallOptions& call = {}) const;
    // Whether a writer who counts has written a slice of this name. Reads a few kilobytes, which prove
    // nothing of the content, and throws what is no refusal.
    bool counts(const LogSliceId& slice, const CallOptions& call = {}) const;

  private:
    struct Beginning;
    Beginning beginning(const LogSliceId& slice, const CallOptions& call) const;

    const RepositoryContext& context_;
};

} // namespace holdfast
