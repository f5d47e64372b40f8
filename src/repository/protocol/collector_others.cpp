// C1: other collections are waited for or stopped, and what they decided is carried out.

#include "base/error.h"
#include "repository/protocol/collection.h"
#include "repository/protocol/protocol_object.h"

#include <algorithm>

#include <fmt/format.h>

namespace holdfast {

namespace {

// By something that does not count: the collection can neither decide nor be ended.
Error name_taken(const std::string& verdict) {
    return Error(
        ErrorCode::corrupt,
        fmt::format("{}: it lies where a collection is ended, and nobody trusted signed it", verdict),
        "remove it, and collect again");
}

} // namespace

// Of two collections that begin at once each sees the other, because both put their intents before they look:
// the one with the higher id gives way. One that sees nobody goes on, and whoever comes later sees it.
bool Collection::end_other_collectors() {
    const Duration started = context_.clock.steady();
    std::set<RunId> ended, abandoned;
    for (;;) {
        const OpenCollectors open = open_collectors();
        const bool none = open.runs.empty() && !open.ended;
        if (none || (!open.ended && (settings_.dry_run || !context_.steps.end_other_collectors))) break;
        // Whoever has ended may have decided before. Each is looked at once more at once, and then in turn:
        // a store may go on listing what cannot be read.
        bool look_again = open.ended && ended.insert(*open.ended).second;
        bool somebody_lives = false;
        for (const ListedRun& other : open.runs) {
            if (store_now_ - other.newest_time > std::min(settings_.patience, settings_.collector_patience)) {
                if (!abandoned.insert(other.run).second) throw name_taken(verdict_name(other.run));
                abandon(other.run);
                look_again = true;
                continue;
            }
            somebody_lives = true;
            const std::string id = other.run.hex();
            if (std::ranges::find(report_.waited_for, id) == report_.waited_for.end())
                report_.waited_for.push_back(id);
            if (other.run < own_run_->id()) return false;
        }
        if (look_again && !somebody_lives) continue;
        if (context_.clock.steady() - started >= settings_.wait) return false;
        context_.clock.sleep_for(settings_.poll_interval, stop_);
    }
    finish_decided();
    decided_before_ = standing_.decided();
    moves_before_ = standing_.moves();
    return true;
}

// Those with an intent or a condemned list, and no verdict. Verdicts are read after intents were listed: a
// collection that is not in the list has ended before, and its verdict is seen, or it began after us, and
// sees us. One that ends between the two has to be looked at again.
Collection::OpenCollectors Collection::open_collectors() {
    if (!context_.steps.intents_before_verdicts) standing_ = read_verdicts(context_);
    const std::vector<ListedRun> runs = beat_and_list_runs();
    if (context_.steps.intents_before_verdicts) standing_ = read_verdicts(context_);
    if (!standing_.damaged.empty()) {
        throw Error(
            ErrorCode::corrupt, standing_.problems.front(),
            fmt::format(
                "what an earlier collection decided is not known; restore {} from a copy, or remove it "
                "when every snapshot verifies",
                standing_.damaged.front()));
    }
    OpenCollectors open;
    std::set<RunId> seen;
    const std::set<RunId> ended = ended_writers();
    for (const ListedRun& run : runs) {
        seen.insert(run.run);
        if (is_ours(run.run) || ended.contains(run.run) || standing_.has_ended(run.run)) continue;
        const Claim claim = claim_of(run);
        if (claim == Claim::gone && context_.steps.look_again) return {.runs = {}, .ended = run.run};
        if (claim == Claim::collector) open.runs.push_back(run);
    }
    for (const auto& [collector, _] : standing_.condemned) {
        if (!seen.contains(collector) && !standing_.has_ended(collector)) {
            open.runs.push_back(
                {.run = collector, .newest_beat = 0, .newest_time = Timestamp{}, .names = {}});
        }
    }
    return open;
}

// Whoever takes the name first has decided: if the other was quicker, the next look finds his verdict.
void Collection::abandon(const RunId& collector) {
    const std::string name = verdict_name(collector);
    Verdict verdict;
    verdict.abandoned = true;
    const Bytes object = sign_object(ObjectKind::verdict, name, encode_verdict(verdict), *own_run_);
    if (context_.steps.abandon_if_absent) {
        put_deciding(context_, name, object);
    } else {
        put_object(context_, name, object);
    }
}

void Collection::finish_decided() {
    if (settings_.dry_run || !context_.steps.finish_decided) return;
    for (const auto& [collector, _] : standing_.condemned) {
        const auto verdict = standing_.verdicts.find(collector);
        if (verdict != standing_.verdicts.end() && !verdict->second.abandoned) {
            carry_out(collector, verdict->second, false);
        } else if (standing_.has_ended(collector)) {
            context_.store.remove(condemned_name(collector), {});
        }
    }
}

} // namespace holdfast
