#include "postgres/recovery/log_search.h"

#include "base/error.h"
#include "postgres/recovery/recovery_window.h"
#include "postgres/wal/wal_event.h"
#include "postgres/wal/wal_reader.h"

#include <algorithm>

#include <fmt/format.h>

namespace holdfast::postgres {

namespace {

class TransactionReading {
  public:
    TransactionReading(const RecoverySource& source, std::uint64_t xid)
        : source_(source), xid_(static_cast<TransactionId>(xid)) {}

    TransactionSearch in(const LogChain& log) {
        if (log.steps.empty()) return std::move(result_);
        if (!source_.content) return unread(log.begin, "its content cannot be read here");
        const WalDetails details = source_.details(log.steps.front().slice);
        if (details.version == 0 || details.segment_bytes == 0)
            return unread(log.begin, "it does not say what it is of");
        WalReader reader({details.version, details.segment_bytes, details.system_identifier, 0}, log.begin,
                         [&](const WalRecord& record) { take(record, details.version); });
        for (const PathStep& step : log.steps) {
            try {
                reader.feed(bytes_of(step));
            } catch (const Error& error) {
                if (!is_unreadable(error) && error.code() != ErrorCode::wrong_key) throw;
                return unread(Lsn{step.begin}, error.message());
            }
            if (result_.found) break;
            if (!reader.end()) continue;
            // Behind what was written last there may be room in its segment.
            if (reader.end()->reason == WalEndReason::zeros && &step == &log.steps.back()) break;
            return unread(reader.end()->at, reader.end()->detail);
        }
        return std::move(result_);
    }

  private:
    // Of the slice itself, mostly: to look for others that have it takes a look at all.
    Bytes bytes_of(const PathStep& step) const {
        try {
            Bytes bytes = source_.content(step.slice);
            const LogRange& range = step.slice.range;
            if (bytes.size() == range.end - range.begin) {
                bytes.resize(step.end - range.begin);
                bytes.erase(bytes.begin(),
                            bytes.begin() + static_cast<std::ptrdiff_t>(step.begin - range.begin));
                return bytes;
            }
        } catch (const Error& error) {
            if (!is_unreadable(error)) throw;
        }
        return source_.bytes_of({step.slice.range.branch, step.begin, step.end});
    }

    void take(const WalRecord& record, int version) {
        if (result_.found || !record.is_of(ResourceManager::transaction)) return;
        std::string refused;
        const wal_event::Event event = wal_event::event_or_unknown(record, version, &refused);
        // It may have been that one; another may lie behind it.
        if (result_.unread.empty()) result_.unread = refused;
        const auto* end = std::get_if<wal_event::TransactionEnd>(&event);
        if (end != nullptr && end->xid == xid_)
            result_.found = TransactionPlace{record.start, record.end, end->committed};
    }

    TransactionSearch unread(Lsn from, const std::string& why) {
        result_.unread = fmt::format("the log from {} on: {}", from.str(), why);
        return std::move(result_);
    }

    const RecoverySource& source_;
    const TransactionId xid_;
    TransactionSearch result_;
};

std::string why_it_ends(const LogChain& log) {
    if (!log.next || !log.why_it_ends.empty()) return log.why_it_ends;
    return fmt::format("it has a gap from {} to {}", log.end.str(), log.next->str());
}

} // namespace

TransactionSearch find_transaction(const RecoverySource& source, const LogChain& log, std::uint64_t xid) {
    return TransactionReading(source, xid).in(log);
}

// Of each up to the end of the next one; where other log lies beside it, to its end: those that follow may be
// on another branch.
void LogSearch::look_through(const Look& look) const {
    std::optional<Lsn> until;
    for (auto snapshot = snapshots_.rbegin(); snapshot != snapshots_.rend(); ++snapshot) {
        const bool alone = logs_.forks_of(**snapshot, history_).empty();
        const LogChain log =
            until && alone ? logs_.log_of(**snapshot, history_, *until) : logs_.log_of(**snapshot, history_);
        if (look(**snapshot, log)) return;
        until = Lsn{(*snapshot)->log->range.end};
    }
}

TransactionSearch LogSearch::transaction(std::uint64_t xid) const {
    TransactionSearch all;
    look_through([&](const Snapshot& snapshot, const LogChain& log) {
        const TransactionSearch part = find_transaction(logs_.source_of(snapshot, history_), log, xid);
        all.found = part.found;
        if (all.unread.empty()) all.unread = part.unread;
        if (all.ends.empty()) all.ends = why_it_ends(log);
        return all.found.has_value();
    });
    return all;
}

PointSearch LogSearch::points(const std::string& name, std::vector<LogSliceId>& looked_at) const {
    PointSearch all;
    look_through([&](const Snapshot& snapshot, const LogChain& log) {
        const std::vector<LogSliceId> slices = log.slices();
        looked_at.insert(looked_at.end(), slices.begin(), slices.end());
        if (logs_.source().fetch_details) logs_.source().fetch_details(slices);
        for (const ArchivedRestorePoint& point : points_of(snapshot, log)) {
            if (point.name == name && std::ranges::find(all.found, point) == all.found.end())
                all.found.push_back(point);
        }
        if (all.ends.empty()) all.ends = why_it_ends(log);
        return false;
    });
    std::ranges::sort(all.found, {}, &ArchivedRestorePoint::at);
    return all;
}

std::vector<ArchivedRestorePoint> LogSearch::points_of(const Snapshot& snapshot, const LogChain& log) const {
    const SliceDetails details = logs_.details_of(snapshot, history_);
    std::vector<ArchivedRestorePoint> points;
    for (const PathStep& step : log.steps) {
        for (const ArchivedRestorePoint& point : details(step.slice).restore_points)
            if (point.at.value > step.begin && point.at.value <= step.end) points.push_back(point);
    }
    return points;
}

bool LogSearch::has_point(const Snapshot& snapshot, const LogChain& log,
                          const ArchivedRestorePoint& point) const {
    const std::vector<ArchivedRestorePoint> points = points_of(snapshot, log);
    return std::ranges::find(points, point) != points.end();
}

// What carries an earlier snapshot past another, with nothing beside it, carries that one too.
void settle_all(SnapshotLogs& logs, const TimelineHistory& history) {
    std::optional<LogChain> carrying;
    for (const Snapshot* snapshot : snapshots_on(logs.source(), history)) {
        const LogRange& own = snapshot->log->range;
        if (carrying && own.begin >= carrying->begin.value && own.end <= carrying->end.value) continue;
        carrying = logs.settled_log_of(*snapshot, history);
        if (!logs.forks_of(*snapshot, history).empty()) carrying.reset();
    }
}

} // namespace holdfast::postgres
