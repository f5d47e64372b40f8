// Until when snapshots live, and why, as far as it is known now.
#pragma once

#include "server/repository_view.h"

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#include <nlohmann/json_fwd.hpp>

namespace holdfast {

// From when on time is let pass, and until when.
struct Outlook {
    Timestamp from{}, horizon{};
    bool operator==(const Outlook&) const = default;
};

// Finding it out lets ten years pass, which may take seconds. What was found out of a source is kept for an
// hour at most, until there is something new about its snapshots or its rules; so is, of each source, what
// was asked last for another outlook. Thread-safe.
class SnapshotFates {
  public:
    // What is being found out ends with Error(cancelled) when `stop` is requested.
    explicit SnapshotFates(std::stop_token stop = {}) : stop_(std::move(stop)) {}

    // Of a snapshot of the view, the same members as `holdfast retention simulate --json`, and why nothing of
    // its source goes at present.
    nlohmann::json of(const std::shared_ptr<const RepositoryView>& view, const Snapshot& snapshot);

    using Fates = std::shared_ptr<const std::vector<Fate>>;
    // Of the subjects of `source`, as it was seen at `seen`; null where no policy covers it. With an
    // `outlook` as if it was that time, else as of `seen` and ten years on. Throws Error(unavailable) while
    // another outlook is being found out: those that are asked for have an end, but no number.
    Fates of(const RetentionSource& source, Timestamp seen, const std::optional<Outlook>& outlook);

  private:
    using Key = std::pair<std::string, std::string>; // source and domain

    struct Known {
        RetentionSource source; // as it was found out for
        Outlook outlook;
        Fates fates;
    };
    static bool is_news(const Known& known, const RetentionSource& source);

    struct Kept {
        std::mutex mutex;
        std::map<Key, Known> sources;
    };

    const std::stop_token stop_;
    Kept known_, asked_; // as of the last look; for another outlook
};

// The members of one snapshot of `source`, which is the subject `index` there. `fates` as of() has them.
nlohmann::json fate_json(const RetentionSource& source, const SnapshotFates::Fates& fates, std::size_t index);

} // namespace holdfast
