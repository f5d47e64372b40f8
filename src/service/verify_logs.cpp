// Slices of logs, and whether each snapshot has those that make it whole.

#include "base/error.h"
#include "repository/log/log_path.h"
#include "repository/log/log_reader.h"
#include "service/verification.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

namespace holdfast {

// Who wrote a slice and what it says of itself always; with read_data its content, as far as keys go.
void Verification::check_slice(const LogSliceId& slice, bool whole) {
    const std::string name = slice.name();
    const LogReader reader(*context_);
    try {
        if (!whole) {
            reader.info(slice);
        } else if (context_->keys.reads_content()) {
            reader.content(slice);
        } else {
            reader.check(slice);
        }
    } catch (const Error& error) {
        if (error.code() == ErrorCode::not_found) return; // a prune took it since it was listed
        if (!findings_.take(error, name)) return;
        const std::scoped_lock lock(mutex_);
        bad_slices_.insert(slice);
    }
}

void Verification::check_log_of(const Snapshot& snapshot) {
    const SnapshotLog& log = *snapshot.log;
    std::vector<LogSliceId> good;
    // No slice is longer than the largest, so that one that reaches into the range begins not far before it.
    LogSliceId first;
    first.archive = log.archive;
    first.range.branch = log.range.branch;
    first.range.begin = log.range.begin - std::min<std::uint64_t>(log.range.begin, largest_slice_bytes);
    for (auto slice = std::ranges::lower_bound(slices_, first);
         slice != slices_.end() && slice->archive == log.archive && slice->range.branch == log.range.branch &&
         slice->range.begin < log.range.end;
         ++slice) {
        if (!bad_slices_.contains(*slice)) good.push_back(*slice);
    }
    const std::vector<PathStep> path = find_path(good, log.range);
    const std::uint64_t reached = path.empty() ? log.range.begin : path.back().end;
    if (reached == log.range.end) return;
    findings_.damage(
        commit_name(snapshot.id),
        fmt::format("snapshot {} of {} cannot be made consistent: the log that it needs is missing or "
                    "damaged from {:X} to {:X} on branch {}",
                    snapshot.id.hex(), snapshot.source, reached, log.range.end, log.range.branch),
        "restore another snapshot, or the missing slices below logs/ from a copy of the repository");
}

void Verification::check_logs() {
    if (slices_.empty() &&
        std::ranges::none_of(chosen_, [](const Snapshot& snapshot) { return bool(snapshot.log); }))
        return;
    next_phase("checking logs");
    progress_.set_total(0, slices_.size());
    std::ranges::sort(slices_);
    const auto every = static_cast<std::size_t>(std::llround(1 / settings_.sample_part));
    const std::size_t first = every > 1 ? repository_.random().below(every) : 0;
    for_each_parallel(slices_.size(), settings_.read_data ? settings_.workers : settings_.requests, stop_,
                      [&](std::size_t i) {
                          check_slice(slices_[i], settings_.read_data && i % every == first % every);
                          progress_.add_done(0, 1);
                      });
    for (const Snapshot& snapshot : chosen_) {
        if (snapshot.log) check_log_of(snapshot);
    }
}

} // namespace holdfast
