// C7 to C9: the verdict, and carrying it out.

#include "base/at_once.h"
#include "base/error.h"
#include "repository/moved_pack.h"
#include "repository/protocol/collection.h"
#include "repository/protocol/protocol_object.h"

#include <algorithm>
#include <ranges>
#include <utility>

#include <fmt/format.h>

namespace holdfast {

namespace {

// False when the object is locked.
bool remove_unless_locked(Store& store, const std::string& name) {
    try {
        store.remove(name, {});
        return true;
    } catch (const Error& error) {
        if (error.code() != ErrorCode::access_denied) throw;
        return false;
    }
}

} // namespace

// Earlier verdicts are united in this one, so that a later collection can remove them. Moves that lead
// nowhere any more, because all that was moved has died, become the death of their whole pack.
void Collection::put_verdict() {
    verdict_.released = condemned_.released;
    if (context_.steps.unite_verdicts) {
        raise_floors(verdict_.released, believable_floors(standing_.released()));
        verdict_.earlier = decided_before_;
        verdict_.earlier_moves = moves_before_;
    }
    for (const auto& [collector, earlier] : standing_.verdicts) {
        if (earlier.abandoned) continue;
        verdict_.united.insert(collector);
        verdict_.united.insert(earlier.united.begin(), earlier.united.end());
    }
    std::erase_if(verdict_.earlier_moves, [&](const auto& move) {
        if (!std::ranges::all_of(holders_of(move.first), [&](const PackId& holder) {
                return verdict_.doomed.removes(holder) && !verdict_.moves.contains(holder);
            })) {
            return false;
        }
        verdict_.earlier.add_all_frames(move.first);
        return true;
    });
    const std::string name = verdict_name(own_run_->id());
    const Bytes object = sign_object(ObjectKind::verdict, name, encode_verdict(verdict_), *own_run_);
    store_.check();
    decided_ = true;
    if (!context_.steps.verdict_if_absent) {
        put_object(unstoppable_, name, object);
        return;
    }
    if (put_deciding(unstoppable_, name, object)) return;
    throw Error(ErrorCode::fenced,
                "another collection stopped this one, because it showed no sign of life for too long",
                "nothing was deleted; collect again");
}

// Nothing was decided and nothing will be, so that nobody has to wait for this run.
void Collection::give_up() {
    if (!own_run_) return;
    unstoppable_.store.remove(condemned_name(own_run_->id()), {});
    remove_own_intents();
}

void Collection::remove_own_intents() {
    intent_.reset(); // no more beats
    for (const ListedRun& run : list_runs(unstoppable_.store)) {
        if (!is_ours(run.run)) continue;
        // The first beat last: while a run has beats it has that one.
        for (const std::string& name : run.names | std::views::reverse)
            remove_unless_locked(unstoppable_.store, name);
    }
}

// By the store's own clock. Where a store keeps versions it does not refuse to delete what is locked: it
// hides it, so that it has to be asked.
bool Collection::is_locked(const std::string& name, const std::stop_token& stop) {
    try {
        const std::optional<Retention> lock = context_.store.retention(name, {.timeout = {}, .stop = stop});
        return lock && lock->until > store_now_;
    } catch (const Error& error) {
        // It is gone, or lies in a bucket without locks that a repository was copied to.
        if (error.code() == ErrorCode::not_found || error.code() == ErrorCode::unsupported) return false;
        if (error.code() != ErrorCode::access_denied) throw;
        const std::scoped_lock lock(lock_problems_mutex_);
        if (!std::exchange(locks_are_secret_, true)) {
            report_.problems.push_back(
                fmt::format("whether {} and others are locked may not be asked, so that they stay: {}", name,
                            error.message()));
        }
        return true;
    }
}

std::set<std::string> Collection::locked_of(const std::vector<std::string>& names) {
    std::set<std::string> locked;
    if (!context_.store.capabilities().object_lock || !context_.steps.ask_for_locks) return locked;
    std::mutex mutex;
    for_each_at_once(names, settings_.requests_at_once, stop_,
                     [&](const std::string& name, const std::stop_token& stop) {
                         if (!is_locked(name, stop)) return;
                         const std::scoped_lock lock(mutex);
                         locked.insert(name);
                     });
    return locked;
}

// What is locked between the question and the delete is no longer needed under this name: who locks reads the
// verdicts afterwards, and follows the moves, which were told before.
std::set<std::string> Collection::remove_lockable(const std::vector<std::string>& names) {
    const std::set<std::string> locked = locked_of(names);
    std::set<std::string> removed;
    for (const std::string& name : names) {
        if (!locked.contains(name) && remove_unless_locked(context_.store, name)) removed.insert(name);
    }
    return removed;
}

// Every part of it may be done again, by us or by another at the same time: names are used once, so that what
// was to be deleted can never be anything else.
void Collection::carry_out(const RunId& collector, const Verdict& verdict, bool ours) {
    if (context_.steps.moved_before_delete) {
        put_moved(verdict);
        delete_doomed(verdict, ours);
    } else {
        delete_doomed(verdict, ours);
        put_moved(verdict);
    }
    drop_moved(verdict);
    std::vector<std::string> commits;
    for (const RunId& snapshot : verdict.snapshots) commits.push_back(commit_name(snapshot));
    const std::size_t deleted = remove_lockable(commits).size();
    if (ours) report_.deleted_snapshots += deleted;
    for (const RunId& snapshot : verdict.snapshots) {
        if (!context_.steps.keep_forgets) remove_unless_locked(context_.store, forget_name(snapshot));
    }
    remove_unless_locked(context_.store, condemned_name(collector));
}

void Collection::put_moved(const Verdict& verdict) {
    const PutOptions if_absent{.only_if_absent = true, .retention = {}, .tier = {}};
    for (const auto& [pack, targets] : verdict.moves) {
        const std::string name = moved_name(pack);
        // Whoever puts it says the same, but signs it himself.
        context_.store.put(name, sign_object(ObjectKind::moved, name, encode_moved(targets), *own_run_),
                           if_absent);
    }
}

void Collection::delete_doomed(const Verdict& verdict, bool ours) {
    std::vector<std::string> names;
    for (const auto& [pack, doomed] : verdict.doomed.packs()) {
        if (doomed.removed) names.push_back(pack.name());
    }
    const std::set<std::string> removed = remove_lockable(names);
    if (!ours) return;
    for (const auto& [pack, doomed] : verdict.doomed.packs()) {
        if (!doomed.removed) continue;
        const std::uint64_t size_bytes = doomed_sizes_[pack];
        if (removed.contains(pack.name())) {
            ++report_.deleted_packs;
            report_.deleted_bytes += size_bytes;
        } else {
            ++report_.locked_packs;
            report_.dead_bytes_kept += size_bytes;
        }
    }
}

// Those of packs whose frames have all died, from a listing: that an earlier collection could not remove one,
// because it was locked or because its end came first, is written down nowhere.
void Collection::drop_moved(const Verdict& verdict) {
    std::vector<std::string> dead;
    for (std::string& name : list_names(context_.store, moved_prefix)) {
        const auto parsed = parse_name(name);
        if (!parsed || parsed->kind != NameKind::moved) continue;
        const auto doomed = verdict.earlier.packs().find(parsed->pack());
        if (doomed != verdict.earlier.packs().end() && doomed->second.all_frames)
            dead.push_back(std::move(name));
    }
    remove_lockable(dead);
}

// Only those that a verdict from before this collection has united: a writer that listed verdicts while one
// was put and the others went might see neither. All writers of that time have been waited for. Abandoned
// ones stay for good: their names are what stops a collector that slept.
void Collection::drop_old_verdicts() {
    std::set<RunId> old;
    if (!context_.steps.drop_verdicts_late) old = verdict_.united;
    for (const auto& [collector, verdict] : standing_.verdicts) {
        old.insert(verdict.united.begin(), verdict.united.end());
        if (!context_.steps.keep_verdicts) old.insert(collector);
    }
    if (!context_.steps.keep_verdicts) old.insert(own_run_->id());
    for (const auto& [collector, verdict] : standing_.verdicts) {
        if (old.contains(collector) && (!verdict.abandoned || !context_.steps.keep_verdicts)) {
            remove_unless_locked(context_.store, verdict_name(collector));
        }
    }
    if (!context_.steps.keep_verdicts) remove_unless_locked(context_.store, verdict_name(own_run_->id()));
}

// Intents of runs whose end is written down elsewhere, checkpoints of runs that ended in a commit, and old
// checkpoints.
void Collection::drop_ended_runs() {
    const std::vector<ListedRun> runs = beat_and_list_runs();
    const std::set<RunId> ended = ended_writers();
    if (!context_.steps.keep_fences) {
        for (const std::string& run : report_.fenced)
            remove_unless_locked(context_.store, commit_name(*id_from_hex<16>(run)));
    }
    for (const ListedRun& run : runs) {
        if (!is_ours(run.run) && !ended.contains(run.run) && !standing_.has_ended(run.run)) continue;
        for (const std::string& name : run.names) remove_unless_locked(context_.store, name);
    }
    for (const ObjectInfo& info : context_.store.list_all(std::string(checkpoints_prefix))) {
        const auto name = parse_name(info.name);
        if (!name || name->kind != NameKind::checkpoint) continue;
        const bool old = store_now_ - info.modified > settings_.keep_checkpoints;
        if (old || committed_.contains(name->owner)) remove_unless_locked(context_.store, info.name);
    }
}

} // namespace holdfast
