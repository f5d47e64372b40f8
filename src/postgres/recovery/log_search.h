// What can only be found by looking through the log that snapshots lead to: restore points by their names,
// and the ends of transactions, of which the log has no other index than itself.
#pragma once

#include "postgres/recovery/snapshot_logs.h"

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace holdfast::postgres {

struct TransactionPlace {
    Lsn start; // of the record that ends it
    Lsn end;
    bool committed = false; // else it was rolled back
};

struct TransactionSearch {
    std::optional<TransactionPlace> found; // the first in the log
    // Why a part of the log could not be looked at, or the end of a transaction not understood, for people;
    // empty: all of it was.
    std::string unread;
    // Where the log cannot be followed on, for people; empty: nowhere.
    std::string ends;
};

struct PointSearch {
    std::vector<ArchivedRestorePoint> found; // by position
    std::string ends;                        // as of a transaction
};

// Reads `log`, which begins with a record or a page, up to the end of the transaction; of `xid` the low half
// counts, as for servers. Throws what the source's functions throw but for slices that are damaged, gone or
// not for this key, with which the search ends.
TransactionSearch find_transaction(const RecoverySource& source, const LogChain& log, std::uint64_t xid);

// Over the snapshots that lead along one history, each on its own branch, which must have been settled.
class LogSearch {
  public:
    // `snapshots` by where they end. All must outlive this.
    LogSearch(const SnapshotLogs& logs, const TimelineHistory& history,
              std::vector<const Snapshot*> snapshots)
        : logs_(logs), history_(history), snapshots_(std::move(snapshots)) {}

    // Reads from the newest snapshot on, then from the one before it, and so on: so what is found is the
    // newest of its number.
    TransactionSearch transaction(std::uint64_t xid) const;
    // All of this name. `looked_at` gets the slices that were asked.
    PointSearch points(const std::string& name, std::vector<LogSliceId>& looked_at) const;
    // Whether `log`, to which the snapshot leads, has the point.
    bool has_point(const Snapshot& snapshot, const LogChain& log, const ArchivedRestorePoint& point) const;

  private:
    using Look = std::function<bool(const Snapshot& snapshot, const LogChain& log)>;
    void look_through(const Look& look) const;
    std::vector<ArchivedRestorePoint> points_of(const Snapshot& snapshot, const LogChain& log) const;

    const SnapshotLogs& logs_;
    const TimelineHistory& history_;
    const std::vector<const Snapshot*> snapshots_;
};

// Settles of all snapshots that lead along `history` on which branch each is.
void settle_all(SnapshotLogs& logs, const TimelineHistory& history);

} // namespace holdfast::postgres
