#include "repository/protocol/frame_places.h"

#include "base/error.h"
#include "repository/moved_pack.h"
#include "repository/protocol/protocol_object.h"
#include "repository/protocol/standing_verdicts.h"

namespace holdfast {

// Verdicts first: a pack that goes meanwhile is then missing, and not taken for one that stays.
FramePlaces::FramePlaces(const RepositoryContext& context, const FrameSet& frames)
    : tables_(context.store, context.keys) {
    const StandingVerdicts standing = read_verdicts(context);
    decided_ = standing.decided();
    moves_ = standing.moves();
    for (std::string& name : list_names(context.store, packs_prefix)) listed_.insert(std::move(name));
    for (std::string& name : list_names(context.store, moved_prefix)) listed_.insert(std::move(name));
    for (const auto& [pack, wanted] : frames.packs()) find(pack, wanted);
}

void FramePlaces::find(const PackId& pack, const std::vector<bool>& wanted) {
    if (stays(pack)) {
        names_.insert(pack.name());
        return;
    }
    std::vector<bool> found(wanted.size());
    follow(pack, pack, wanted, found, most_moves);
    for (std::uint32_t number = 0; number < wanted.size(); ++number) {
        if (wanted[number] && !found[number]) missing_ = pack;
    }
}

bool FramePlaces::stays(const PackId& pack) const {
    return listed_.contains(pack.name()) && !decided_.removes(pack);
}

// Until its note is there the pack itself still is; a collector that finds it locked lets it be, and one
// that does not has put the note by then.
void FramePlaces::follow(const PackId& gone, const PackId& origin, const std::vector<bool>& wanted,
                         std::vector<bool>& found, unsigned moves_left) {
    const auto targets = moves_.find(gone);
    if (targets == moves_.end() || moves_left == 0) return;
    const std::string note = moved_name(gone);
    if (listed_.contains(note)) {
        names_.insert(note);
    } else if (listed_.contains(gone.name())) {
        names_.insert(gone.name());
    }
    for (const PackId& target : targets->second) {
        if (stays(target)) {
            look_into(target, origin, wanted, found);
        } else {
            follow(target, origin, wanted, found, moves_left - 1);
        }
    }
}

// A write-only key opens no table of a collector's pack: then any frame may be there.
void FramePlaces::look_into(const PackId& pack, const PackId& origin, const std::vector<bool>& wanted,
                            std::vector<bool>& found) {
    std::shared_ptr<const LoadedPack> table;
    try {
        table = tables_.load(pack);
    } catch (const Error& error) {
        if (error.code() != ErrorCode::wrong_key) throw;
        found = wanted;
        names_.insert(pack.name());
        return;
    }
    if (!table) return; // it went since it was listed
    for (std::uint32_t number = 0; number < wanted.size(); ++number) {
        if (!wanted[number] || !table->find({origin, number})) continue;
        found[number] = true;
        names_.insert(pack.name());
    }
}

} // namespace holdfast
