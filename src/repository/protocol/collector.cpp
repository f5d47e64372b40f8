#include "repository/protocol/collector.h"

#include "base/error.h"
#include "repository/protocol/collection.h"
#include "repository/protocol/protocol_object.h"

#include <exception>

#include <fmt/format.h>

namespace holdfast {

namespace {

void require_capabilities(const StoreCapabilities& capabilities) {
    if (capabilities.put_if_absent && capabilities.consistent) return;
    throw Error(ErrorCode::unsupported,
                capabilities.put_if_absent ? "the store shows what was written only after a while"
                                           : "the store cannot put an object only if its name is free",
                "nothing can be deleted safely on such a store: use it without pruning, or copy the "
                "repository to another");
}

} // namespace

CollectorReport collect_garbage(const RepositoryContext& context, const CollectorSettings& settings,
                                Progress& progress, std::stop_token stop) {
    if (!role_may_write(context.keys.role(), ObjectKind::verdict)) {
        throw Error(ErrorCode::access_denied, "this key may not prune", "use a key of role full or prune");
    }
    require_capabilities(context.store.capabilities());
    return Collection(context, settings, progress, std::move(stop)).run();
}

Collection::Collection(const RepositoryContext& repository, const CollectorSettings& collector_settings,
                       Progress& shown, std::stop_token stop)
    : unstoppable_(repository),
      stop_(std::move(stop)),
      store_(repository.store, stop_),
      context_(repository.through(store_).without_cache()),
      settings_(collector_settings),
      progress_(shown),
      packs_(store_, repository.keys),
      nodes_(packs_),
      scanner_(nodes_) {}

CollectorReport Collection::run() {
    try {
        take_steps();
    } catch (const Error& error) {
        clean_up_after_failure();
        if (error.code() != ErrorCode::cancelled) throw;
        throw Error(ErrorCode::cancelled, "the collection was stopped",
                    decided_ ? "what it may have decided to delete goes with the next 'holdfast prune'"
                             : "nothing was deleted");
    }
    return report_;
}

// Whether a verdict of which no answer came has been put, the next collection finds out.
void Collection::clean_up_after_failure() {
    try {
        if (!decided_) {
            give_up();
        } else if (stop_.stop_requested()) {
            remove_own_intents();
        }
    } catch (const Error&) {
        // Then others find out by its silence.
    }
}

void Collection::postpone() {
    report_.postponed = true;
    give_up();
}

void Collection::take_steps() {
    const bool writes = !settings_.dry_run;
    if (writes) {
        own_run_.emplace(context_.keys.begin_run(context_.random));
        intent_.emplace(unstoppable_, *own_run_, RunRole::collector, "garbage collection",
                        settings_.beat_interval);
    }
    progress_.set_phase("looking for other collections");
    if (!end_other_collectors()) return postpone();
    progress_.set_phase("marking what snapshots need");
    mark();
    require_droppable();
    progress_.set_phase("taking stock of packs");
    take_inventory();
    choose_rewrites();
    condemn();
    if (!context_.steps.logs_behind_verdict) drop_logs();
    if (!writes) return drop_logs();

    progress_.set_phase("waiting for writers");
    bool waited = true;
    if (context_.steps.condemn_before_intents) {
        put_condemned();
        waited = wait_for_writers();
    } else {
        waited = wait_for_writers();
        put_condemned();
    }
    if (!waited) return postpone();
    if (context_.steps.mark_again) mark();
    decide();
    progress_.set_phase("rewriting packs");
    rewrite();
    put_verdict();
    progress_.set_phase("deleting");
    carry_out(own_run_->id(), verdict_, true);
    drop_logs();
    drop_old_verdicts();
    drop_ended_runs();
    // Last, because it takes room of its own. The run has ended by now, and shows no sign of life any more.
    intent_.reset();
    progress_.set_phase("joining the index");
    maintain_index();
}

void Collection::require_droppable() const {
    for (const ArchiveId& archive : settings_.drop_logs) {
        if (!needed_logs_.contains(archive)) continue;
        throw Error(ErrorCode::usage,
                    fmt::format("the log {} is needed by snapshots, and is not dropped", archive.hex()),
                    "forget its snapshots first; what lies before all of them is deleted in any case");
    }
}

std::vector<ListedRun> Collection::beat_and_list_runs() {
    if (intent_) intent_->beat();
    std::vector<ListedRun> runs = list_runs(context_.store);
    // A dry run has no sign of life of its own to read the store's clock from.
    store_now_ = context_.clock.now();
    for (const ListedRun& run : runs) {
        if (is_ours(run.run)) store_now_ = run.newest_time;
    }
    return runs;
}

Collection::Claim Collection::claim_of(const ListedRun& run) {
    Claim claim = Claim::gone;
    // One that cannot be read may be anybody's: to wait for a writer that is none costs only time.
    read_names(context_, {run.names.back()}, NameKind::intent, {ObjectKind::intent},
               {.object =
                    [&](const ObjectName& name, const OpenedObject& object) {
                        claim = Claim::writer;
                        try {
                            if (decode_intent(object.body).role == RunRole::collector)
                                claim = Claim::collector;
                        } catch (const Error& error) {
                            report_.problems.push_back(object_name(name) + ": " + error.message());
                        }
                    },
                .problem =
                    [&](const std::string&, const Error& error) {
                        report_.problems.push_back(error.message());
                        claim = error.code() == ErrorCode::access_denied ? Claim::untrusted : Claim::writer;
                    }});
    return claim;
}

std::set<RunId> Collection::ended_writers() {
    std::set<RunId> ended;
    for (const std::string_view prefix : {commits_prefix, forgets_prefix}) {
        for (const std::string& name : list_names(context_.store, prefix)) {
            if (const auto parsed = parse_name(name)) ended.insert(parsed->owner);
        }
    }
    return ended;
}

} // namespace holdfast
