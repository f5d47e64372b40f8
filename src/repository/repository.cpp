#include "repository/repository.h"

#include "base/error.h"

#include <algorithm>
#include <set>

#include <fmt/format.h>

namespace holdfast {

Repository::Repository(std::shared_ptr<Store> store, Unlocked unlocked, LocalDirectories directories,
                       Clock& clock, Random& random, Logger& logger)
    : store_(std::move(store)),
      unlocked_(std::move(unlocked)),
      directories_(std::move(directories)),
      clock_(clock),
      random_(random),
      logger_(logger),
      objects_(directories_.cache + "/objects.sqlite", logger),
      context_{.store = *store_,
               .keys = unlocked_.ring,
               .trust = unlocked_.trust,
               .clock = clock_,
               .random = random_,
               .steps = {},
               .cache = &objects_},
      packs_(*store_, unlocked_.ring),
      nodes_(packs_) {}

Repository::~Repository() = default;

namespace {

constexpr std::size_t shortest_prefix = 4;

Snapshot newest(const std::vector<Snapshot>& snapshots, const std::string& source,
                const std::string& own_domain) {
    std::set<std::string> sources;
    for (const Snapshot& snapshot : snapshots) {
        if (source.empty() || snapshot.source == source) sources.insert(snapshot.source);
    }
    if (sources.size() > 1) {
        throw Error(ErrorCode::usage,
                    fmt::format("'latest' is ambiguous: there are snapshots of {} sources", sources.size()),
                    "add --source NAME, or name a snapshot by its id");
    }
    if (!sources.empty()) return *newest_of(snapshots, *sources.begin(), own_domain);
    throw Error(ErrorCode::usage,
                source.empty() ? std::string("the repository has no snapshots")
                               : fmt::format("there are no snapshots of source '{}'", source),
                "list what there is with 'holdfast snapshots'");
}

} // namespace

Snapshot Repository::find_snapshot(const std::string& name, const std::string& source) const {
    const SnapshotList list = list_snapshots(context_);
    for (const std::string& problem : list.problems)
        logger_.warning("snapshot passed over", {{"reason", problem}});
    if (name == "latest") return newest(list.snapshots, source, keys().domain());
    const Snapshot* found = nullptr;
    if (name.size() >= shortest_prefix) {
        for (const Snapshot& snapshot : list.snapshots) {
            if (!snapshot.id.hex().starts_with(name) || (!source.empty() && snapshot.source != source))
                continue;
            if (found != nullptr) {
                throw Error(ErrorCode::usage, fmt::format("'{}' is the beginning of several snapshots", name),
                            "type more digits of the id");
            }
            found = &snapshot;
        }
    }
    if (found == nullptr) {
        throw Error(ErrorCode::usage, fmt::format("there is no snapshot '{}'", name),
                    "list what there is with 'holdfast snapshots'; 4 digits of an id are enough");
    }
    return *found;
}

} // namespace holdfast
