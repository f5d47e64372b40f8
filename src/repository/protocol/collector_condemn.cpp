// C3: which packs and frames are condemned; and what of it is decided after the second mark.

#include "repository/protocol/collection.h"
#include "repository/protocol/protocol_object.h"

#include <algorithm>

namespace holdfast {

namespace {

double dead_part(const PackSummary& pack) {
    const auto all = static_cast<double>(pack.live_bytes + pack.dead_bytes);
    return all == 0 ? 0 : static_cast<double>(pack.dead_bytes) / all;
}

} // namespace

// Packs of which nothing is needed go as they are. Others are rewritten, the deadest first, because they free
// the most for what is copied, until little enough is dead. A pack whose table cannot be read stays: what it
// holds is not known, and 'verify' names it. What is locked is not condemned: it stays in any case, and
// writers may go on referring to it.
void Collection::choose_rewrites() {
    std::vector<const PackSummary*> candidates;
    std::uint64_t live = 0, dead = 0;
    std::vector<std::string> unneeded;
    for (const PackSummary& pack : inventory_) {
        if (pack.readable && pack.live_bytes == 0) unneeded.push_back(pack.id.name());
    }
    const std::set<std::string> locked = locked_of(unneeded);
    for (const PackSummary& pack : inventory_) {
        if (!pack.readable) continue;
        if (pack.live_bytes == 0 && locked.contains(pack.id.name())) {
            ++report_.locked_packs;
            report_.dead_bytes_kept += pack.size_bytes;
            continue;
        }
        if (pack.live_bytes == 0) {
            dead_.push_back(pack.id);
            doomed_sizes_[pack.id] = pack.size_bytes;
            continue;
        }
        live += pack.live_bytes;
        dead += pack.dead_bytes;
        if (pack.dead_bytes > 0) candidates.push_back(&pack);
    }
    std::ranges::sort(candidates, std::greater{},
                      [](const PackSummary* pack) { return std::pair(dead_part(*pack), pack->id); });
    const auto is_tolerable = [&] {
        return static_cast<double>(dead) <= static_cast<double>(live + dead) * settings_.tolerated_dead_part;
    };
    std::uint64_t budget = settings_.rewrite_budget_bytes;
    // What is dead in a locked pack stays, and no other is to be copied to make up for it.
    if (budget > 0 && !is_tolerable()) {
        std::vector<std::string> names;
        for (const PackSummary* pack : candidates) names.push_back(pack->id.name());
        const std::set<std::string> locked_candidates = locked_of(names);
        std::erase_if(candidates, [&](const PackSummary* pack) {
            if (!locked_candidates.contains(pack->id.name())) return false;
            live -= pack->live_bytes;
            dead -= pack->dead_bytes;
            report_.dead_bytes_kept += pack->dead_bytes;
            return true;
        });
    }
    for (const PackSummary* pack : candidates) {
        if (is_tolerable()) break;
        if (pack->live_bytes > budget) continue;
        budget -= pack->live_bytes;
        dead -= pack->dead_bytes;
        rewrites_.push_back(pack->id);
        doomed_sizes_[pack->id] = pack->size_bytes;
        if (settings_.dry_run) {
            ++report_.rewritten_packs;
            report_.copied_bytes += pack->live_bytes;
        }
    }
    report_.dead_bytes_kept += dead;
    if (settings_.dry_run) foretell();
}

// What would be deleted.
void Collection::foretell() {
    std::vector<std::string> names;
    for (const RunId& snapshot : forgotten_) names.push_back(commit_name(snapshot));
    for (const auto& [pack, _] : doomed_sizes_) names.push_back(pack.name());
    const std::set<std::string> locked = locked_of(names);
    for (const RunId& snapshot : forgotten_) {
        if (!locked.contains(commit_name(snapshot))) ++report_.deleted_snapshots;
    }
    for (const auto& [pack, size_bytes] : doomed_sizes_) {
        if (locked.contains(pack.name())) {
            ++report_.locked_packs;
            report_.dead_bytes_kept += size_bytes;
            continue;
        }
        ++report_.deleted_packs;
        report_.deleted_bytes += size_bytes;
    }
}

// Frames are condemned by their address, wherever they lie. A copy that nobody is sent to (left by a
// collection that was stopped) goes without its frames being condemned: they live elsewhere.
void Collection::condemn() {
    release_logs();
    DoomedPacks& doomed = condemned_.doomed;
    for (const std::vector<PackId>* group : {&dead_, &rewrites_}) {
        for (const PackId& pack : *group) {
            const auto table = packs_.load(pack);
            if (!table) continue;
            doomed.remove_pack(pack);
            bool all = table->tail.origins.empty();
            for (const FrameRecord& frame : table->tail.frames) {
                const FrameAddress address{table->origins[frame.origin], frame.number};
                if (scanner_.frames().contains(address) || !is_to_hold(pack, address.pack)) {
                    all = false;
                } else {
                    doomed.add_frame(address);
                }
            }
            if (all) doomed.add_all_frames(pack);
        }
    }
}

void Collection::put_condemned() {
    const std::string name = condemned_name(own_run_->id());
    put_object(context_, name,
               sign_object(ObjectKind::condemned, name, encode_condemned_list(condemned_), *own_run_));
}

// What is reachable now is taken off: of a dead pack of which a frame is needed after all, nothing goes.
// Rewritten packs are decided on when they have been copied.
void Collection::decide() {
    for (const PackId& pack : leftovers_) verdict_.doomed.remove_pack(pack);
    for (const PackId& pack : dead_) decide_on(pack);
    verdict_.snapshots = forgotten_;
}

void Collection::decide_on(const PackId& pack) {
    const auto table = packs_.load(pack);
    if (!table || !condemned_.doomed.removes(pack)) return;
    for (const FrameRecord& frame : table->tail.frames) {
        const FrameAddress address{table->origins[frame.origin], frame.number};
        if (!is_to_hold(pack, address.pack) || !scanner_.frames().contains(address)) continue;
        report_.dead_bytes_kept += dead_bytes_of(*table);
        return;
    }
    verdict_.doomed.remove_pack(pack);
    bool all = table->tail.origins.empty();
    for (const FrameRecord& frame : table->tail.frames) {
        const FrameAddress address{table->origins[frame.origin], frame.number};
        if (condemned_.doomed.dooms(address) && is_to_hold(pack, address.pack)) {
            verdict_.doomed.add_frame(address);
        } else {
            all = false;
        }
    }
    if (all) verdict_.doomed.add_all_frames(pack);
}

} // namespace holdfast
