// C6: what is still needed of packs that are mostly dead is copied into new ones.

#include "base/error.h"
#include "repository/pack/pack_seal.h"
#include "repository/protocol/collection.h"
#include "repository/protocol/pack_copier.h"

#include <fmt/format.h>

namespace holdfast {

namespace {

// The whole pack, if its bytes are those that its writer put: a damaged one is left as it is, so that the
// damage stays visible under the name that snapshots know.
std::optional<Bytes> intact_bytes(Store& store, const LoadedPack& pack) {
    std::optional<Bytes> bytes = store.get(pack.name, {}, {});
    if (!bytes || bytes->size() != pack.size_bytes) return std::nullopt;
    const ByteView digested =
        ByteView(*bytes).first(bytes->size() - pack_footer_bytes + sizeof(std::uint32_t));
    if (pack_digest(std::span(&digested, 1)) != pack.digest) return std::nullopt;
    return bytes;
}

} // namespace

// All frames are copied but those that were condemned and are not reachable now: a writer that began after
// the list was put may refer to any other, also to one whose snapshot has been forgotten since.
void Collection::rewrite() {
    PackCopier copier(context_, *own_run_, settings_.pack_bytes);
    std::vector<PackId> copied;
    for (const PackId& pack : rewrites_) {
        const auto table = packs_.load(pack);
        if (!table) continue;
        std::vector<std::size_t> positions;
        DoomedPacks dead;
        for (std::size_t i = 0; i < table->tail.frames.size(); ++i) {
            const FrameAddress address{table->origins[table->tail.frames[i].origin],
                                       table->tail.frames[i].number};
            if (!is_to_hold(pack, address.pack)) continue;
            if (condemned_.doomed.dooms(address) && !scanner_.frames().contains(address)) {
                dead.add_frame(address);
            } else {
                positions.push_back(i);
            }
        }
        if (dead.empty()) { // all of it is needed by now
            report_.dead_bytes_kept += dead_bytes_of(*table);
            continue;
        }
        const std::optional<Bytes> bytes = intact_bytes(context_.store, *table);
        if (!bytes) {
            report_.problems.push_back(
                fmt::format("{}: its bytes are not what its writer put; it stays as it is", table->name));
            report_.dead_bytes_kept += dead_bytes_of(*table);
            continue;
        }
        copier.copy(*table, *bytes, positions);
        dead.remove_pack(pack);
        verdict_.doomed.merge(dead);
        copied.push_back(pack);
        progress_.add_done(table->size_bytes, 1);
    }
    copier.finish();
    for (const PackId& pack : copied) {
        ++report_.rewritten_packs;
        const std::vector<PackId> targets = copier.targets_of(pack);
        if (!targets.empty()) verdict_.moves[pack] = targets;
    }
    report_.copied_bytes = copier.copied_bytes();
}

} // namespace holdfast
