#include "postgres/recovery/recovery_source.h"

#include "base/at_once.h"
#include "base/error.h"
#include "postgres/archive/wal_archive.h"
#include "repository/key_ring.h"
#include "repository/log/log_path.h"
#include "repository/protocol/standing_verdicts.h"

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

    WalDetails of(const LogSliceId& slice) { return known(slice).details; }
    std::optional<SliceDigest> digest_of(const LogSliceId& slice) { return known(slice).digest; }

    void fetch(std::span<const LogSliceId> slices) {
        std::vector<std::string> names;
        {
            const std::scoped_lock lock(mutex_);
            for (const LogSliceId& slice : slices)
                if (!known_.contains(slice)) names.push_back(slice.name());
        }
        for_each_at_once(names, requests_at_once, call_.stop,
                         [&](const std::string& name, const std::stop_token&) {
                             if (const auto slice = LogSliceId::from_name(name)) known(*slice);
                         });
    }

    std::vector<LogSliceId> refused(std::span<const LogSliceId> slices) {
        fetch(slices);
        std::vector<LogSliceId> refused;
        for (const LogSliceId& slice : slices)
            if (!known(slice).counts) refused.push_back(slice);
        return refused;
    }

  private:
    struct Known {
        WalDetails details;
        bool counts = true;
        std::optional<SliceDigest> digest{};
    };

    Known known(const LogSliceId& slice) {
        {
            const std::scoped_lock lock(mutex_);
            if (const auto found = known_.find(slice); found != known_.end()) return found->second;
        }
        Known known = read(slice);
        const std::scoped_lock lock(mutex_);
        return known_.emplace(slice, std::move(known)).first->second;
    }

    Known read(const LogSliceId& slice) const {
        SliceInfo info;
        try {
            info = archive_.reader().info(slice, call_);
        } catch (const Error& error) {
            if (!archive_.reader().is_refusal(slice, error, call_)) throw;
            logger_.warning("a slice of the log does not count",
                            {{"slice", slice.name()}, {"reason", error.message()}});
            return {{}, false, {}};
        }
        try {
            return {decode_wal_details(info.details, slice.name()), true, info.digest};
        } catch (const Error& error) {
            // Its bytes may be good all the same.
            if (error.code() != ErrorCode::corrupt) throw;
            logger_.warning("a slice of the log says nothing of itself",
                            {{"slice", slice.name()}, {"reason", error.message()}});
            return {{}, true, info.digest};
        }
    }

    const WalArchive archive_;
    Logger& logger_;
    const CallOptions call_;
    std::mutex mutex_;
    std::map<LogSliceId, Known> known_;
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

bool RecoverySource::is_released(const TimelineHistory& history, Lsn begin, Lsn end) const {
    for (Lsn at = begin; at < end;) {
        const TimelineId timeline = history.timeline_at(at);
        const auto of_timeline = history.part_of(timeline);
        const Lsn until = of_timeline && of_timeline->end ? std::min(end, *of_timeline->end) : end;
        const auto floor = released.find(timeline);
        if (floor == released.end() || floor->second < until || until <= at) return false;
        at = until;
    }
    return true;
}

std::vector<TimelineId> RecoverySource::timelines() const {
    std::set<TimelineId> all;
    for (const Snapshot& snapshot : snapshots) all.insert(snapshot.log->range.branch);
    for (const LogSliceId& slice : slices) all.insert(slice.range.branch);
    return {all.rbegin(), all.rend()};
}

bool RecoverySource::drop_refused(std::span<const LogSliceId> used) {
    if (!refused) return false;
    const std::vector<LogSliceId> wrong = refused(used);
    for (const LogSliceId& slice : wrong) std::erase(slices, slice);
    return !wrong.empty();
}

void RecoverySource::drop(std::span<const LogSliceId> aside) {
    std::erase_if(slices, [&](const LogSliceId& slice) { return std::ranges::binary_search(aside, slice); });
}

bool is_unreadable(const Error& error) {
    return error.code() == ErrorCode::corrupt || error.code() == ErrorCode::not_found ||
           error.code() == ErrorCode::access_denied;
}

Bytes RecoverySource::bytes_of(const LogRange& range) const {
    std::vector<LogSliceId> having;
    std::ranges::copy_if(slices, std::back_inserter(having), [&](const LogSliceId& slice) {
        return slice.range.branch == range.branch && slice.range.begin < range.end &&
               slice.range.end > range.begin;
    });
    Bytes bytes;
    for (LogRange rest = range; rest.begin < rest.end;) {
        const std::vector<PathStep> path = find_path(having, rest);
        if (path.empty()) throw Error(ErrorCode::corrupt, "no slice has it any more");
        const PathStep& step = path.front();
        try {
            const Bytes stored = content(step.slice);
            if (stored.size() != step.slice.range.end - step.slice.range.begin)
                throw Error(ErrorCode::corrupt, "it has not the length that its name says");
            const auto first =
                stored.begin() + static_cast<std::ptrdiff_t>(step.begin - step.slice.range.begin);
            bytes.insert(bytes.end(), first, first + static_cast<std::ptrdiff_t>(step.end - step.begin));
            rest.begin = step.end;
        } catch (const Error& error) {
            if (!is_unreadable(error)) throw;
            std::erase(having, LogSliceId(step.slice));
            if (find_path(having, rest).empty()) throw;
        }
    }
    return bytes;
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
    for (const auto& [log, position] : read_verdicts(repository.context()).released()) {
        if (log.archive == archive.id()) result.released.emplace(log.branch, Lsn{position});
    }
    const auto known = std::make_shared<KnownDetails>(archive, repository.logger(), call);
    result.details = [known](const LogSliceId& slice) { return known->of(slice); };
    result.fetch_details = [known](std::span<const LogSliceId> slices) { known->fetch(slices); };
    result.refused = [known](std::span<const LogSliceId> slices) { return known->refused(slices); };
    result.summary = [archive, call](const LogSliceId& slice) {
        return archive.reader().summary(slice, call);
    };
    result.content = [archive, call](const LogSliceId& slice) {
        return archive.reader().content(slice, call).bytes;
    };
    // Who cannot read contents cannot compare them.
    if (!repository.keys().reads_content()) return result;
    result.part = [archive, call](const LogSliceId& slice, Lsn begin, Lsn end) {
        return archive.reader().part(slice, begin.value, end.value, call);
    };
    result.digest = [known](const LogSliceId& slice) { return known->digest_of(slice); };
    return result;
}

} // namespace holdfast::postgres
