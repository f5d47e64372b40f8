// C2 and C5: what the snapshots and the young checkpoints reach.

#include "base/error.h"
#include "repository/protocol/collection.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include <fmt/format.h>

namespace holdfast {

namespace {

// Takes in what it meets.
void need_range(std::map<std::uint64_t, std::uint64_t>& ranges, std::uint64_t begin, std::uint64_t end) {
    auto next = ranges.upper_bound(begin);
    if (next != ranges.begin() && std::prev(next)->second >= begin) --next;
    while (next != ranges.end() && next->first <= end) {
        begin = std::min(begin, next->first);
        end = std::max(end, next->second);
        next = ranges.erase(next);
    }
    ranges.emplace(begin, end);
}

// Snapshots may claim any end, also in the last piece that there can be.
LogRange in_whole(const LogRange& range, std::uint64_t unit) {
    const std::uint64_t behind = range.end % unit;
    const std::uint64_t more = behind == 0 ? 0 : unit - behind;
    return {range.branch, range.begin - range.begin % unit,
            range.end > UINT64_MAX - more ? UINT64_MAX : range.end + more};
}

} // namespace

// A collection deletes what lies before all snapshots of an archive that its first mark found: a backup
// begins behind one that it listed (W3), so at or behind that, or behind one that was committed since, whose
// writer the collection has waited for and which the second mark finds. Of an archive that no snapshot named
// then, a backup may be under way that began anywhere.
void Collection::need_log_of(const Snapshot& snapshot) {
    if (!snapshot.log) return;
    const ArchiveId& archive = snapshot.log->archive;
    const auto unit = settings_.log_units.find(archive);
    const LogRange range =
        unit == settings_.log_units.end() ? snapshot.log->range : in_whole(snapshot.log->range, unit->second);
    needed_logs_.insert(archive);
    need_range(own_logs_[archive], range.begin, range.end);
    const auto known = log_begins_.find(archive);
    if (known != log_begins_.end()) {
        known->second = std::min(known->second, range.begin);
    } else if (!marked_ || !context_.steps.keep_log_marks) {
        log_begins_.emplace(archive, range.begin);
    }
}

// What was marked once stays marked: the second time, only what is new is walked.
void Collection::mark() {
    const SnapshotList list = list_snapshots(context_);
    if (!list.damaged.empty()) {
        throw Error(
            ErrorCode::corrupt, list.problems.front(),
            fmt::format(
                "what this snapshot needs is not known, so that nothing can be deleted; restore {} from a "
                "copy, or forget the snapshot",
                list.damaged.front()));
    }
    if (list.unreadable > 0) {
        throw Error(ErrorCode::wrong_key,
                    fmt::format("{} snapshots cannot be read with this key", list.unreadable),
                    "collect with a key slot of role full or prune");
    }
    for (const std::string& problem : list.problems) {
        if (std::ranges::find(report_.problems, problem) == report_.problems.end())
            report_.problems.push_back(problem);
    }
    forgotten_ = list.forgotten;
    const std::set<RunId> marked_before = std::exchange(committed_, {});
    committed_.insert(list.forgotten.begin(), list.forgotten.end());
    if (!context_.steps.keep_log_marks) log_begins_.clear();
    // Whoever listed one that came and went between the marks may have begun where it did.
    if (marked_ && context_.steps.keep_log_marks) {
        for (const RunId& id : list.forgotten) {
            if (marked_before.contains(id)) continue;
            if (const auto snapshot = read_snapshot(context_, id)) need_log_of(*snapshot);
        }
    }
    for (const Snapshot& snapshot : list.snapshots) {
        committed_.insert(snapshot.id);
        need_log_of(snapshot);
        in_context(fmt::format("snapshot {}", snapshot.id.hex()), [&] { scanner_.add_tree(snapshot.root); });
        progress_.add_done(0, 1);
    }
    marked_ = true;
    for (const Snapshot& checkpoint :
         list_checkpoints(context_, committed_, store_now_ - settings_.keep_checkpoints)) {
        try {
            scanner_.add_tree(checkpoint.root);
        } catch (const Error& error) {
            if (error.code() != ErrorCode::corrupt) throw;
            // Part of it is gone: an older collection found it too old. Nobody can go on from it.
            report_.problems.push_back(
                fmt::format("checkpoint of {}: {}", checkpoint.id.hex(), error.message()));
        }
    }
}

} // namespace holdfast
