// C2 and C5: what the snapshots and the young checkpoints reach.

#include "base/error.h"
#include "repository/protocol/collection.h"

#include <algorithm>

#include <fmt/format.h>

namespace holdfast {

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
    committed_ = {list.forgotten.begin(), list.forgotten.end()};
    log_begins_.clear();
    for (const Snapshot& snapshot : list.snapshots) {
        committed_.insert(snapshot.id);
        if (snapshot.log) {
            const auto [needed, first] =
                log_begins_.emplace(snapshot.log->archive, snapshot.log->range.begin);
            if (!first) needed->second = std::min(needed->second, snapshot.log->range.begin);
        }
        in_context(fmt::format("snapshot {}", snapshot.id.hex()), [&] { scanner_.add_tree(snapshot.root); });
        progress_.add_done(0, 1);
    }
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
