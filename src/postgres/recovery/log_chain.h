// The log from a position on, through the timelines of a history, as far as slices have it without a gap.
#pragma once

#include "postgres/recovery/recovery_source.h"
#include "repository/log/log_path.h"

#include <limits>
#include <string>

namespace holdfast::postgres {

constexpr Lsn end_of_time{std::numeric_limits<std::uint64_t>::max()};

struct LogChain {
    std::vector<PathStep> steps; // ascending, each beginning where the one before ends
    Lsn begin;
    Lsn end; // behind the last byte that there is
    // Where the archive goes on behind a gap; empty when nothing lies behind the end.
    std::optional<Lsn> next;
    // Why it ends where it does, though the archive has what may lie behind; empty when nothing is there.
    std::string why_it_ends{};

    std::uint64_t bytes() const { return end - begin; }
    std::vector<LogSliceId> slices() const;
    // As much of it as reaches up to `position`, whole slices.
    LogChain up_to(Lsn position) const;
};

// From `begin` to `until`. The beginning of a timeline is also in the first segment of the next one, which
// is as good.
LogChain follow_log(const RecoverySource& source, const TimelineHistory& history, Lsn begin,
                    Lsn until = end_of_time);

// What a slice says of itself.
using SliceDetails = std::function<WalDetails(const LogSliceId&)>;

// The last commit of a chain that has a time, as far as slices say.
struct LastCommit {
    Timestamp time;
    Lsn end; // behind its record
};
std::optional<LastCommit> last_commit_of(const SliceDetails& of, std::span<const PathStep> steps);
// Where the last record of a chain starts that is whole; empty when its last slice does not say.
std::optional<Lsn> last_record_of(const SliceDetails& of, std::span<const PathStep> steps);
// The first step with a commit that is later than `time`. Commits are nearly in the order of their times,
// which is used: few slices are asked.
std::optional<std::size_t> step_with_commit_after(const SliceDetails& of, std::span<const PathStep> steps,
                                                  Timestamp time);

Timestamp from_unix_microseconds(std::int64_t time_us);

} // namespace holdfast::postgres
