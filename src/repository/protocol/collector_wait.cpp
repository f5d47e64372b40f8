// C4: writers that may refer to what was condemned are waited for, or given up.

#include "base/error.h"
#include "repository/json_form.h"
#include "repository/protocol/collection.h"
#include "repository/protocol/protocol_object.h"

#include <algorithm>

namespace holdfast {

// Writers that begin after the first listing here read what was condemned, so that only those in it are
// waited for.
bool Collection::wait_for_writers() {
    if (!context_.steps.wait_for_writers) return true;
    const Duration started = context_.clock.steady();
    std::vector<ListedRun> runs = beat_and_list_runs();
    std::vector<ListedRun> open = open_writers(runs);
    for (;;) {
        std::erase_if(open, [&](const ListedRun& run) {
            if (store_now_ - run.newest_time <= settings_.patience) return false;
            if (context_.steps.fence) fence(run.run);
            return true;
        });
        if (open.empty()) return true;
        for (const ListedRun& run : open) {
            const std::string id = run.run.hex();
            if (std::ranges::find(report_.waited_for, id) == report_.waited_for.end())
                report_.waited_for.push_back(id);
        }
        if (context_.clock.steady() - started >= settings_.wait) return false;
        context_.clock.sleep_for(settings_.poll_interval, stop_);
        runs = beat_and_list_runs();
        const std::set<RunId> ended = ended_writers();
        std::erase_if(open, [&](ListedRun& run) {
            const auto listed = std::ranges::find(runs, run.run, &ListedRun::run);
            // Its intents go when it has ended, or left; its last checkpoint was there before, and is marked
            // again.
            if (listed == runs.end()) return true;
            run = *listed; // its beats may be newer
            return ended.contains(run.run);
        });
    }
}

// Those with neither commit nor fence. A run of a holder who was removed counts for nothing, and neither will
// its commit.
std::vector<ListedRun> Collection::open_writers(const std::vector<ListedRun>& runs) {
    const std::set<RunId> ended = ended_writers();
    std::vector<ListedRun> open;
    for (const ListedRun& run : runs) {
        if (is_ours(run.run) || ended.contains(run.run) || standing_.has_ended(run.run)) continue;
        if (claim_of(run) == Claim::writer) open.push_back(run);
    }
    return open;
}

void Collection::fence(const RunId& run) {
    const std::string name = commit_name(run);
    JsonWriter body;
    body.time("time", context_.clock.now());
    const Bytes object = sign_object(ObjectKind::fence, name, body.finish(), *own_run_);
    if (!context_.steps.fence_if_absent) {
        put_object(context_, name, object);
    } else if (put_deciding(context_, name, object)) {
        report_.fenced.push_back(run.hex());
    }
}

} // namespace holdfast
