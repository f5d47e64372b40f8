// Until when snapshots live, and why, as far as it is known now.
#pragma once

#include "server/repository_view.h"

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include <nlohmann/json_fwd.hpp>

namespace holdfast {

// Finding it out lets ten years pass, which may take long; what was found out of a source is kept as long as
// its view. Thread-safe.
class SnapshotFates {
  public:
    // Of a snapshot of the view, the same members as `holdfast retention simulate --json`, and why nothing of
    // its source goes at present.
    nlohmann::json of(const std::shared_ptr<const RepositoryView>& view, const Snapshot& snapshot);

  private:
    using Key = std::pair<std::string, std::string>; // source and domain

    std::mutex mutex_;
    std::shared_ptr<const RepositoryView> view_;
    std::map<Key, std::vector<Fate>> known_;
};

} // namespace holdfast
