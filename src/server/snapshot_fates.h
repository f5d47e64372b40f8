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

// Finding it out lets ten years pass, which may take seconds. What was found out of a source is kept for an
// hour at most, until there is something new about its snapshots or its rules. Thread-safe.
class SnapshotFates {
  public:
    // Of a snapshot of the view, the same members as `holdfast retention simulate --json`, and why nothing of
    // its source goes at present.
    nlohmann::json of(const std::shared_ptr<const RepositoryView>& view, const Snapshot& snapshot);

  private:
    using Key = std::pair<std::string, std::string>; // source and domain

    struct Known {
        RetentionSource source; // as it was found out for
        Timestamp at{};
        std::vector<Fate> fates;
    };
    static bool is_news(const Known& known, const RetentionSource& source, Timestamp at);

    std::mutex mutex_;
    std::map<Key, Known> known_;
};

} // namespace holdfast
