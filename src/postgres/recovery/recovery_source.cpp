#include "postgres/recovery/recovery_source.h"

#include "base/at_once.h"
#include "base/error.h"
#include "postgres/archive/wal_archive.h"

#include <algorithm>
#include <memory>
#include <mutex>
#include <set>

#include <fmt/format.h>

namespace holdfast::postgres {

namespace {

constexpr unsigned requests_at_once = 16;

// Details that were read once.
class KnownDetails {
  public:
    KnownDetails(WalArchive archive, Logger& logger, CallOptions call)
        : archive_(std::move(archive)), logger_(logger), call_(std::move(call)) {}

    WalDetails of(const LogSliceId& slice) {
        {
            const std::scoped_lock lock(mutex_);
            if (const auto found = known_.find(slice); found != known_.end()) return found->second;
        }
        WalDetails details = read(slice);
        const std::scoped_lock lock(mutex_);
        return known_.emplace(slice, std::move(details)).first->second;
    }

    void fetch(std::span<const LogSliceId> slices) {
        std::vector<std::string> names;
        {
            const std::scoped_lock lock(mutex_);
            for (const LogSliceId& slice : slices)
                if (!known_.contains(slice)) names.push_back(slice.name());
        }
        for_each_at_once(names, requests_at_once, call_.stop,
                         [&](const std::string& name, const std::stop_token&) {
                             if (const auto slice = LogSliceId::from_name(name)) of(*slice);
                         });
    }

  private:
    WalDetails read(const LogSliceId& slice) {
        try {
            return archive_.details(slice, call_);
        } catch (const Error& error) {
            if (error.code() != ErrorCode::corrupt && error.code() != ErrorCode::not_found &&
                error.code() != ErrorCode::access_denied)
                throw;
            logger_.warning("a slice of the log says nothing of itself",
                            {{"slice", slice.name()}, {"reason", error.message()}});
            return {};
        }
    }

    const WalArchive archive_;
    Logger& logger_;
    const CallOptions call_;
    std::mutex mutex_;
    std::map<LogSliceId, WalDetails> known_;
};

WalArchive archive_of(const Repository& repository, const std::string& source,
                      const std::vector<Snapshot>& snapshots, const std::optional<RunId>& wanted,
                      const CallOptions& call) {
    if (!wanted) return open_wal_archive(repository, source, call);
    const auto found = std::ranges::find(snapshots, *wanted, &Snapshot::id);
    if (found == snapshots.end() || found->source != source) {
        throw Error(ErrorCode::not_found, fmt::format("source {} has no snapshot {}", source, wanted->hex()),
                    "'holdfast snapshots' lists those that there are");
    }
    if (found->kind != snapshot_kind || !found->log) {
        throw Error(ErrorCode::usage, fmt::format("snapshot {} is of kind '{}', not of a PostgreSQL cluster",
                                                  wanted->hex(), found->kind));
    }
    return {repository.context(), found->log->archive};
}

} // namespace

TimelineHistory RecoverySource::history_of(TimelineId timeline) const {
    const auto found = histories.find(timeline);
    return found == histories.end() ? TimelineHistory(timeline) : found->second;
}

std::vector<TimelineId> RecoverySource::timelines() const {
    std::set<TimelineId> all;
    for (const Snapshot& snapshot : snapshots) all.insert(snapshot.log->range.branch);
    for (const LogSliceId& slice : slices) all.insert(slice.range.branch);
    return {all.rbegin(), all.rend()};
}

RecoverySource load_recovery_source(const Repository& repository, const std::string& source,
                                    const std::optional<RunId>& snapshot, const CallOptions& call) {
    RecoverySource result;
    result.name = source;
    SnapshotList list = list_snapshots(repository.context());
    const WalArchive archive = archive_of(repository, source, list.snapshots, snapshot, call);
    for (Snapshot& found : list.snapshots) {
        if (found.source == source && found.kind == snapshot_kind && found.log &&
            found.log->archive == archive.id())
            result.snapshots.push_back(std::move(found));
    }
    result.slices = archive.slices({}, call);
    result.archive = archive.id();
    result.histories =
        archive.histories(result.slices, call, [&](const LogSliceId& slice, const Error& error) {
            repository.logger().warning("a history file in the archive is passed over",
                                        {{"slice", slice.name()}, {"reason", error.message()}});
        });
    const auto known = std::make_shared<KnownDetails>(archive, repository.logger(), call);
    result.details = [known](const LogSliceId& slice) { return known->of(slice); };
    result.fetch_details = [known](std::span<const LogSliceId> slices) { known->fetch(slices); };
    result.summary = [archive, call](const LogSliceId& slice) {
        return archive.reader().summary(slice, call);
    };
    result.content = [archive, call](const LogSliceId& slice) {
        return archive.reader().content(slice, call).bytes;
    };
    return result;
}

} // namespace holdfast::postgres
