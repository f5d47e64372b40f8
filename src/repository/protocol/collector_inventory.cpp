// What packs there are, and how much of each is needed.

#include "base/error.h"
#include "repository/moved_pack.h"
#include "repository/protocol/collection.h"

#include <algorithm>

#include <fmt/format.h>

namespace holdfast {

namespace {

constexpr std::size_t most_told_lost = 1000;

} // namespace

// A pack that an earlier collection decided on may be there still, because it is locked, or again, because a
// repeated put landed late. It is no place for anything to be: a delete that lands late may take it at any
// time.
bool Collection::is_gone(const PackId& pack) const {
    return context_.steps.distrust_returned_packs && decided_before_.removes(pack);
}

// Where the frames of an origin are: in the pack itself until it was moved, then wherever the moves lead.
const std::set<PackId>& Collection::holders_of(const PackId& origin) {
    if (const auto known = holders_.find(origin); known != holders_.end()) return known->second;
    std::set<PackId> holders;
    std::set<PackId> seen{origin};
    std::vector<PackId> pending{origin};
    while (!pending.empty()) {
        const PackId pack = pending.back();
        pending.pop_back();
        const auto moves = moves_before_.find(pack);
        const bool gone = context_.steps.distrust_returned_packs
                              ? decided_before_.removes(pack)
                              : decided_before_.removes(pack) && !context_.store.head(pack.name(), {});
        if (!gone) {
            holders.insert(pack);
        } else if (moves != moves_before_.end()) {
            for (const PackId& target : moves->second) {
                if (seen.insert(target).second) pending.push_back(target);
            }
        }
    }
    return holders_.emplace(origin, std::move(holders)).first->second;
}

// Where what says so is lost, any pack that has frames of that one may be the only one.
bool Collection::is_to_hold(const PackId& pack, const PackId& origin) {
    const std::set<PackId>& holders = holders_of(origin);
    return holders.contains(pack) || std::ranges::none_of(holders, [&](const PackId& holder) {
               return listed_packs_.contains(holder);
           });
}

std::uint64_t Collection::dead_bytes_of(const LoadedPack& pack) {
    std::uint64_t dead = 0;
    for (const FrameRecord& frame : pack.tail.frames) {
        const PackId& origin = pack.origins[frame.origin];
        if (!scanner_.frames().contains({origin, frame.number}) || !is_to_hold(pack.id, origin))
            dead += frame.stored_length;
    }
    return dead;
}

void Collection::take_inventory() {
    std::vector<std::pair<PackId, ObjectInfo>> listed;
    context_.store.list(std::string(packs_prefix), "",
                        [&](const ObjectInfo& info) {
                            if (const auto pack = PackId::from_name(info.name)) {
                                listed.emplace_back(*pack, info);
                                listed_packs_.insert(*pack);
                            } else {
                                report_.problems.push_back(info.name + ": this program writes no such name");
                            }
                            return true;
                        },
                        {});
    for (const auto& [pack, info] : listed) {
        ++report_.packs_before;
        report_.bytes_before += info.size_bytes;
        if (is_gone(pack)) {
            leftovers_.push_back(pack);
            doomed_sizes_[pack] = info.size_bytes;
        } else {
            summarize(info, pack);
        }
    }
}

void Collection::tell_lost(const LoadedPack& pack) {
    for (const FrameRecord& frame : pack.tail.frames) {
        const PackId& origin = pack.origins[frame.origin];
        if (!is_to_hold(pack.id, origin) || holders_of(origin).contains(pack.id) ||
            !scanner_.frames().contains({origin, frame.number}) || !lost_origins_.insert(origin).second)
            continue;
        // The verdict alone is lost: readers find it.
        if (lost_origins_.size() > most_told_lost ||
            moves_lead(context_.store, origin,
                       [&](const PackId& found) { return listed_packs_.contains(found); }))
            continue;
        report_.problems.push_back(fmt::format(
            "{} is gone, and nothing says that {} has frames of it: that one stays, and 'holdfast "
            "repair index' makes them found again",
            origin.name(), pack.name));
    }
}

void Collection::summarize(const ObjectInfo& info, const PackId& pack) {
    PackSummary summary{
        .id = pack, .size_bytes = info.size_bytes, .live_bytes = 0, .dead_bytes = 0, .readable = true};
    try {
        const auto table = packs_.load(pack);
        if (!table)
            return; // gone since it was listed: whoever deleted it has stopped us, as we shall find out
        summary.dead_bytes = dead_bytes_of(*table);
        for (const FrameRecord& frame : table->tail.frames) summary.live_bytes += frame.stored_length;
        summary.live_bytes -= summary.dead_bytes;
        tell_lost(*table);
    } catch (const Error& error) {
        if (error.code() != ErrorCode::corrupt && error.code() != ErrorCode::incompatible &&
            error.code() != ErrorCode::wrong_key) {
            throw;
        }
        report_.problems.push_back(error.message());
        summary.readable = false;
    }
    report_.live_bytes += summary.live_bytes;
    inventory_.push_back(summary);
}

} // namespace holdfast
