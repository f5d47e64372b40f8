// New slices of a log.
#pragma once

#include "repository/compression.h"
#include "repository/log/slice_format.h"
#include "repository/protocol/context.h"

#include <array>
#include <mutex>

namespace holdfast {

// The archive of a source of a domain: of a cluster, for example, by the number that the cluster gave itself.
// Whoever has the domain's identity key can tell it from the name of the source.
ArchiveId archive_id(const DomainId& domain, ByteView domain_identity_key, std::string_view source,
                     std::string_view system);

struct NewSlice {
    LogRange range;
    ByteView content;   // at most largest_slice_bytes
    ByteView details{}; // see SliceInfo
    ByteView summary{}; // for holders who may not read the content; compressed here
};

// An object in parts, so that what is large in it is copied nowhere.
struct SealedSlice {
    LogSliceId id;
    Bytes beginning;
    Bytes frames;
    Signature signature;

    std::array<ByteView, 3> parts() const { return {beginning, frames, signature.view()}; }
    std::size_t size_bytes() const { return beginning.size() + frames.size() + Signature::size(); }
};

// Writes slices under a run of its own, or several one behind the other, so that what is kept of names used
// stays small. It needs no intent: collections delete of an archive only what lies before all snapshots.
// Thread-safe. The context must outlive it.
class LogWriter {
  public:
    // Throws Error(access_denied) when the holder's role may not, or the archive is not of his domain.
    LogWriter(const RepositoryContext& context, ArchiveId archive, int compression_level);
    ~LogWriter();

    // Compresses, encrypts and signs; on as many threads as one likes, each with a compressor of its own.
    SealedSlice seal(const NewSlice& slice, Compressor& compressor);
    // When it returns, the slice is as durable as the store makes objects. May be repeated after an error.
    void put(const SealedSlice& slice, const CallOptions& call = {});

    const ArchiveId& archive() const { return archive_; }
    SliceDigest digest_of(ByteView content) const;

  private:
    struct Place {
        std::shared_ptr<RunContext> run;
        std::uint32_t number;
    };
    Place next_place();

    const RepositoryContext& context_;
    const ArchiveId archive_;
    const int level_;
    const Secret identity_key_;
    std::mutex mutex_;
    std::shared_ptr<RunContext> run_;
    std::uint32_t next_number_ = 0;
};

} // namespace holdfast
