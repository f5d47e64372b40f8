// Segments that PostgreSQL will ask for next, fetched ahead.
//
// PostgreSQL asks for one segment after the other and waits for each. A process that outlives the call
// fetches those behind it into a directory, several at once, and keeps ahead of the calls, which move the
// files into place and open no repository.
#pragma once

#include "base/clock.h"
#include "base/file_descriptor.h"
#include "postgres/archive/wal_archive.h"

#include <optional>
#include <stop_token>
#include <string>

namespace holdfast::postgres {

// Held by the one process that fetches ahead into a directory; free again when it has ended, however it did.
class PrefetchTurn {
  public:
    // Makes the directory where it is missing. Nothing when another process has the turn.
    static std::optional<PrefetchTurn> take(const std::string& directory);

    const std::string& directory() const { return directory_; }

  private:
    PrefetchTurn(std::string directory, FileDescriptor lock)
        : directory_(std::move(directory)), lock_(std::move(lock)) {}

    std::string directory_;
    FileDescriptor lock_;
};

struct PrefetchSettings {
    unsigned segments = 16; // how many wait at most
    unsigned workers = 2;
    // Nobody took a segment for so long: nobody will.
    Duration patience = std::chrono::seconds(30);
};

// Fetches the segments behind `name` into the directory, in order, until the archive ends or is not whole.
// Returns when all of them were taken, or nobody asks any more; then what nobody took is removed. Throws what
// reading the archive throws, and Error(cancelled) when `stop` asks.
void prefetch_wal(const PrefetchTurn& turn, const WalArchive& archive, const std::string& name,
                  std::uint64_t segment_bytes, const PrefetchSettings& settings, std::stop_token stop);

// Moves `name` from the directory to `destination`, waiting for it while it is being fetched. False when it
// is not there. Cheap; opens no repository.
bool take_prefetched(const std::string& directory, const std::string& name, const std::string& destination);

// Whether somebody should begin to fetch ahead of `name`: nobody does, and what is there is used up soon.
bool should_prefetch(const std::string& directory, const std::string& name, std::uint64_t segment_bytes,
                     unsigned segments);

} // namespace holdfast::postgres
