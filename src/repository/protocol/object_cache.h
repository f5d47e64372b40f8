// Small objects of the protocol on this machine's disk, so that a list of snapshots asks the store for those
// alone that are new.
#pragma once

#include "base/bytes.h"
#include "base/log.h"

#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace holdfast {

// Whole objects by their names, as they lie in the store: encrypted and signed, and judged again by whoever
// takes one from here. A name is used for one content only, so that none of them goes out of date. What fails
// here is logged once and hinders nobody: then nothing is found and nothing is kept. The file may be removed
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

    // Those of `names` that are here.
    std::map<std::string, Bytes> find(std::span<const std::string> names);
    // Keeps them, in the place of what was kept under their names.
    void add(const std::vector<std::pair<std::string, Bytes>>& objects);
    // Forgets what is kept under names that begin with `prefix` and are none of `names`, which ascend.
    void keep_only(const std::string& prefix, std::span<const std::string> names);

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
    bool failed_ = false;
};

} // namespace holdfast
