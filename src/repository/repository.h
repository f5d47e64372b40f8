// An open repository: its store, the holder's keys, and readers for what it holds.
#pragma once

#include "base/log.h"
#include "repository/node/node_reader.h"
#include "repository/pack/pack_reader.h"
#include "repository/protocol/object_cache.h"
#include "repository/protocol/snapshot_list.h"
#include "repository/protocol/writer_session.h"
#include "repository/unlock.h"

#include <memory>
#include <string>

namespace holdfast {

// Where a machine keeps what it can lose at any time.
struct LocalDirectories {
    std::string cache;     // of this repository
    std::string temporary; // large enough for an index segment
};

// Thread-safe but for being opened. Clock, random and logger must outlive it.
class Repository {
  public:
    Repository(std::shared_ptr<Store> store, Unlocked unlocked, LocalDirectories directories, Clock& clock,
               Random& random, Logger& logger);
    ~Repository();
    Repository(const Repository&) = delete;
    Repository& operator=(const Repository&) = delete;

    Store& store() const { return *store_; }
    const RepositoryConfig& config() const { return unlocked_.config; }
    const KeyRing& keys() const { return unlocked_.ring; }
    const Trust& trust() const { return unlocked_.trust; }
    const LocalDirectories& directories() const { return directories_; }
    Clock& clock() const { return clock_; }
    Random& random() const { return random_; }
    Logger& logger() const { return logger_; }
    const RepositoryContext& context() const { return context_; }
    PackReader& packs() { return packs_; }
    NodeReader& nodes() { return nodes_; }

    // The snapshot that `name` means: an id or an unambiguous beginning of one (4 digits or more), or
    // "latest", of `source` if it is not empty. Throws Error(usage) when there is none, or more than one.
    Snapshot find_snapshot(const std::string& name, const std::string& source) const;

  private:
    std::shared_ptr<Store> store_;
    Unlocked unlocked_;
    LocalDirectories directories_;
    Clock& clock_;
    Random& random_;
    Logger& logger_;
    ObjectCache objects_;
    RepositoryContext context_;
    PackReader packs_;
    NodeReader nodes_;
};

} // namespace holdfast
