// Which blobs the repository already has that a run may refer to.
#pragma once

#include "repository/node/location.h"

#include <optional>

namespace holdfast {

// One thread at a time.
class KnownBlobs {
  public:
    virtual ~KnownBlobs() = default;
    // Where a blob of this id and length lies, if the run may refer to it there.
    virtual std::optional<Location> find(const BlobId& id, std::uint32_t length) = 0;
    // After find() found nothing: the blob will not be placed after all.
    virtual void abandon(const BlobId& id) = 0;
    // A blob that the run has just placed.
    virtual void add(const BlobId& id, const Location& location) = 0;
};

} // namespace holdfast
