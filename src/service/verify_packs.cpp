// What packs say of themselves, and whether the frames that snapshots need are where they should be.

#include "base/error.h"
#include "repository/trust.h"
#include "service/verification.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

namespace holdfast {

namespace {

constexpr std::string_view copy_hint = "restore this pack from a copy of the repository";

} // namespace

// Draws as many as the part says, each pack with equal chance.
void Verification::choose_packs_to_read() {
    if (!settings_.read_data) return;
    report_.content = repository_.keys().reads_content() ? ContentCheck::decrypted : ContentCheck::digests;
    const auto wanted =
        static_cast<std::size_t>(std::ceil(settings_.sample_part * static_cast<double>(packs_.size())));
    std::size_t left = wanted;
    for (std::size_t i = 0; i < packs_.size(); ++i) {
        if (left == 0 || repository_.random().below(packs_.size() - i) >= left) continue;
        packs_[i].read_whole = true;
        --left;
    }
}

void Verification::find_holders() {
    for (const auto& [origin, first] : moves_) {
        if (listed_packs_.contains(origin)) continue;
        std::set<PackId> seen{origin};
        std::vector<PackId> pending = first;
        while (!pending.empty()) {
            const PackId pack = pending.back();
            pending.pop_back();
            if (!seen.insert(pack).second) continue;
            if (listed_packs_.contains(pack)) {
                holders_[origin].insert(pack);
            } else if (const auto next = moves_.find(pack); next != moves_.end()) {
                pending.insert(pending.end(), next->second.begin(), next->second.end());
            }
        }
    }
}

// As a reader finds frames: in the pack itself while it is there, else where the moves lead.
bool Verification::is_holder(const PackId& pack, const PackId& origin) const {
    if (pack == origin) return true;
    const auto holders = holders_.find(origin);
    return holders != holders_.end() && holders->second.contains(pack);
}

void Verification::check_packs() {
    std::vector<const ListedPack*> ends;
    for (const ListedPack& pack : packs_) {
        if (!pack.read_whole) ends.push_back(&pack);
    }
    next_phase("checking packs");
    progress_.set_total(0, ends.size());
    for_each_parallel(ends.size(), settings_.requests, stop_, [&](std::size_t i) {
        check_pack_end(*ends[i]);
        progress_.add_done(0, 1);
    });
}

void Verification::check_signature(const std::string& name, const PackId& pack, const SlotId& writer,
                                   const FixedBytes<32>& digest, const Signature& signature) {
    try {
        context_->trust.require({name, ObjectKind::pack, writer, pack.run, digest, signature});
    } catch (const Error& error) {
        findings_.take(error, name);
    }
}

void Verification::check_pack_end(const ListedPack& listed) {
    const std::string name = listed.id.name();
    Store& store = repository_.store();
    try {
        try {
            if (const auto pack = pack_reader_.load(listed.id)) check_table(*pack);
            return; // or it is gone since it was listed, by a collection
        } catch (const Error& error) {
            if (error.code() != ErrorCode::wrong_key) throw;
            findings_.take(error, name);
        }
        // Without the key to its table, who wrote it can be told still.
        {
            const std::scoped_lock lock(mutex_);
            closed_packs_.insert(listed.id);
        }
        const auto begin = store.get(name, {0, max_pack_header_bytes}, {});
        const auto end = store.get(name, {listed.size_bytes - pack_footer_bytes, pack_footer_bytes}, {});
        if (!begin || !end) return;
        const ParsedPackHeader header = in_context(name, [&] { return parse_pack_header(*begin); });
        const PackFooter footer = in_context(name, [&] { return parse_pack_footer(*end); });
        check_signature(name, listed.id, header.header.writer, footer.digest, footer.signature);
    } catch (const Error& error) {
        findings_.take(error.hint().empty() ? error.with_hint(std::string(copy_hint)) : error, name);
        const std::scoped_lock lock(mutex_);
        unreadable_packs_.insert(listed.id);
    }
}

void Verification::check_table(const LoadedPack& pack) {
    check_signature(pack.name, pack.id, pack.writer, pack.digest, pack.signature);
    for (std::size_t i = 0; i < pack.origins.size(); ++i) {
        if (pack.envelopes[i].run() == pack.origins[i].run && pack.origins[i].kind == pack.id.kind) continue;
        findings_.damage(pack.name, fmt::format("it says wrong things of {}", pack.origins[i].name()),
                         "its writer is broken; do not trust snapshots that need it");
    }
    bool needed = false;
    for (const FrameRecord& frame : pack.tail.frames) {
        const FrameAddress address{pack.origins[frame.origin], frame.number};
        if (!listed_packs_.contains(address.pack) && !holders_.contains(address.pack)) {
            if (!needs_.is_needed(address)) continue;
            const std::scoped_lock lock(mutex_);
            lost_.emplace(address.pack, pack.id);
            needed = true;
            continue;
        }
        if (!is_holder(pack.id, address.pack)) continue;
        const FrameNeeds::Finding finding = needs_.found(address, frame.raw_length);
        if (finding != FrameNeeds::Finding::not_needed) {
            needed = true;
            if (!frame.blobs.empty()) {
                const std::scoped_lock lock(mutex_);
                not_indexed_.emplace(address.pack, frame.blobs.front().id);
            }
        }
        if (finding != FrameNeeds::Finding::too_short) continue;
        needs_.mark_bad(address);
        findings_.damage(pack.name,
                         fmt::format("frame {} is shorter than snapshots that refer to it say", frame.number),
                         "its writer is broken; do not trust snapshots that need it");
    }
    frames_ += pack.tail.frames.size();
    if (needed) return;
    ++orphan_packs_;
    orphan_bytes_ += pack.size_bytes;
}

// The object that is to blame for frames that are nowhere: the pack, or what says where it was moved to.
std::string Verification::name_missing(const PackId& origin) const {
    const auto moved = moves_.find(origin);
    if (listed_packs_.contains(origin) || moved == moves_.end()) return origin.name();
    for (const PackId& target : moved->second) {
        if (!listed_packs_.contains(target) && !moves_.contains(target)) return target.name();
    }
    return moved_name(origin);
}

void Verification::find_missing() {
    next_phase("looking for frames");
    std::optional<PackId> gone; // the last pack that was asked for and is not there: its other frames follow
    needs_.for_each_missing([&](const FrameAddress& frame) {
        std::set<PackId> places =
            holders_.contains(frame.pack) ? holders_.at(frame.pack) : std::set<PackId>{};
        places.insert(frame.pack);
        const auto any_in = [&](const std::set<PackId>& packs) {
            return std::ranges::any_of(places, [&](const PackId& place) { return packs.contains(place); });
        };
        if (any_in(unreadable_packs_)) return needs_.mark_bad(frame); // it has been told
        if (any_in(closed_packs_)) return;
        try {
            // A collection may have moved it while this ran.
            if (gone != frame.pack) {
                repository_.packs().holder_of(frame);
                return;
            }
        } catch (const Error& error) {
            if (error.code() != ErrorCode::corrupt) {
                if (findings_.take(error, frame.pack.name())) needs_.mark_bad(frame);
                return;
            }
            if (!listed_packs_.contains(frame.pack)) gone = frame.pack;
        }
        needs_.mark_bad(frame);
        if (const auto lost = lost_.find(frame.pack); lost != lost_.end()) {
            findings_.damage(
                moves_.contains(frame.pack) ? name_missing(frame.pack) : moved_name(frame.pack),
                fmt::format("it is gone, and no note leads from {} to {}, which has frames of it",
                            frame.pack.name(), lost->second.name()),
                "'holdfast repair index' makes the note anew");
            return;
        }
        const std::string name = name_missing(frame.pack);
        findings_.damage(name,
                         listed_packs_.contains(frame.pack)
                             ? fmt::format("it does not hold frame {}, which a snapshot needs", frame.frame)
                             : fmt::format("it is gone, and a snapshot needs frame {} of {}", frame.frame,
                                           frame.pack.name()),
                         std::string(copy_hint));
    });
    for (const auto& [frame, error] : gone_nodes_)
        if (!needs_.is_bad(frame)) findings_.take(error, frame.pack.name());
}

} // namespace holdfast
