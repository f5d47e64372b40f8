// Small objects of the protocol on this machine's disk, so that a list of snapshots asks the store for those
// alone that are new.
#pragma once

#include "base/bytes.h"
#include "base/log.h"
#include "store/store.h"

#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <vector>

namespace holdfast {

// Whole objects by their names, as they lie in the store: encrypted and signed, and judged again by whoever
// takes one from here. One counts while its listing has the token that it had: a name is used for one
// content, but a repository may have copies, be set back to an older state, or be written to by others. What
// fails here is logged and hinders nobody: then nothing is found and nothing is kept. The file may be removed
// at any time, and several processes may share it. Thread-safe.
class ObjectCache {
  public:
    // Objects above this are not kept.
    static constexpr std::size_t largest_object_bytes = 64 << 10;

    // The file is made, with its directory, when it is first needed. `logger` must live longer.
    ObjectCache(std::string file, Logger& logger);
    ~ObjectCache();
    ObjectCache(const ObjectCache&) = delete;
    ObjectCache& operator=(const ObjectCache&) = delete;

    struct Object {
        ObjectInfo listed;
        Bytes bytes;
    };

    // Those that are here as they are listed, by their names.
    std::map<std::string, Bytes> find(std::span<const ObjectInfo> listed);
    // Keeps those that are listed with a token, in the place of what was kept under their names.
    void add(const std::vector<Object>& objects);
    // Forgets what is kept under names that begin with `prefix` and are none of those in `listed`, which
    // ascend.
    void keep_only(const std::string& prefix, std::span<const ObjectInfo> listed);

  private:
    struct Database;
    // Null where there is none to be had. mutex_ is held.
    Database* database();
    template <typename Work>
    void with_database(Work&& work);

    const std::string file_;
    Logger& logger_;
    std::mutex mutex_; // everything below
    std::unique_ptr<Database> database_;
    int failures_ = 0;
};

} // namespace holdfast
