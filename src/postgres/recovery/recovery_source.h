// What a cluster can be recovered from: its snapshots, and what its log archive has.
#pragma once

#include "postgres/archive/wal_details.h"
#include "postgres/wal/timeline_history.h"
#include "repository/log/slice_format.h"
#include "repository/protocol/snapshot.h"
#include "repository/repository.h"

#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace holdfast::postgres {

constexpr std::string_view snapshot_kind = "postgresql";

// Plain data but for functions, so that what is chosen from it can be tested without a repository.
struct RecoverySource {
    std::string name;
    ArchiveId archive;
    std::vector<Snapshot> snapshots; // of this cluster, with their log; in any order
    std::vector<LogSliceId> slices;  // sorted, as list_slices gives them
    std::map<TimelineId, TimelineHistory> histories;
    // Up to where the log of a timeline was let go by policy, but for what snapshots need for themselves.
    std::map<TimelineId, Lsn> released{};

    // What a slice says of itself; may be asked again and again. One that cannot be read says nothing.
    std::function<WalDetails(const LogSliceId&)> details;
    // Makes many known at once, because each is a request to the store. May be empty.
    std::function<void(std::span<const LogSliceId>)> fetch_details;
    // Those that do not count, whatever their names say: gone, damaged where they begin, or of somebody who
    // may not write here. Also makes known what the others say of themselves. Empty: all count.
    std::function<std::vector<LogSliceId>(std::span<const LogSliceId>)> refused;
    // The change map of a slice, encoded (empty: it has none), and its bytes. Throw what LogReader throws.
    std::function<Bytes(const LogSliceId&)> summary;
    std::function<Bytes(const LogSliceId&)> content;
    // The bytes from one position to another that lie in a slice; what equal contents have in common (empty:
    // nobody knows it). May be empty: then contents are not compared.
    std::function<Bytes(const LogSliceId&, Lsn begin, Lsn end)> part;
    std::function<std::optional<SliceDigest>(const LogSliceId&)> digest;

    // Of timelines without a history file it is that they have no ancestors.
    TimelineHistory history_of(TimelineId timeline) const;
    // Whether all that a history has from one position to another was let go by policy.
    bool is_released(const TimelineHistory& history, Lsn begin, Lsn end) const;
    // Those that have snapshots, log or a history, newest first.
    std::vector<TimelineId> timelines() const;
    // Takes out of `slices` what does not count of `used`; false when all does. What was made of names alone
    // is then made anew.
    bool drop_refused(std::span<const LogSliceId> used);
    // Takes out what `aside` has, which is sorted.
    void drop(std::span<const LogSliceId> aside);
    // The bytes of a stretch of one timeline, from whichever slices they can be had, as they are fetched for
    // a server. Throws what `content` throws of the last slice that could have them; Error(corrupt) when none
    // has them.
    Bytes bytes_of(const LogRange& range) const;
};

// Whether a slice is damaged, gone, or not for this key: another may have the same bytes.
bool is_unreadable(const Error& error);

// Looks at the archive that `snapshot` names, else at that of the newest snapshot of the source. The
// repository must outlive the result. Throws Error(not_found) when the source has neither snapshots nor log,
// or there is no such snapshot.
RecoverySource load_recovery_source(const Repository& repository, const std::string& source,
                                    const std::optional<RunId>& snapshot = {}, const CallOptions& call = {});

} // namespace holdfast::postgres
