#include "service/lost_moves.h"

#include "base/error.h"
#include "repository/moved_pack.h"
#include "repository/object.h"
#include "repository/protocol/protocol_object.h"

namespace holdfast {

void LostMoves::look_at(const LoadedPack& pack) {
    for (const PackId& origin : pack.origins)
        if (!listed_.contains(origin)) holders_[origin].insert(pack.id);
}

std::vector<std::string> LostMoves::put_notes(Repository& repository, const RunContext& run,
                                              const std::stop_token& stop) const {
    std::vector<std::string> names;
    for (const auto& [gone, holders] : holders_) {
        if (stop.stop_requested()) throw Error(ErrorCode::cancelled, "repairing the index was stopped");
        if (moves_lead(repository.store(), gone, [&](const PackId& pack) { return holders.contains(pack); }))
            continue;
        if (!repository.trust().may_write(repository.keys().slot(), ObjectKind::moved, run.id()))
            throw Error(ErrorCode::access_denied, "this key slot may not say where frames were moved to",
                        "repair it with a key slot of role full or prune");
        std::string name = moved_name(gone);
        repository.store().put(
            name, sign_object(ObjectKind::moved, name, encode_moved({holders.begin(), holders.end()}), run));
        names.push_back(std::move(name));
    }
    return names;
}

} // namespace holdfast
