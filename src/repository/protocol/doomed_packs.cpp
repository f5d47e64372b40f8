#include "repository/protocol/doomed_packs.h"

#include <limits>
#include <tuple>

namespace holdfast {

namespace {

constexpr std::uint8_t flag_removed = 1;
constexpr std::uint8_t flag_all_frames = 2;
// A pack of the largest size has no more frames than this.
constexpr std::size_t most_bitmap_bytes = 1u << 23;

Bytes to_bitmap(const std::vector<bool>& frames) {
    Bytes bitmap((frames.size() + 7) / 8);
    for (std::size_t i = 0; i < frames.size(); ++i) {
        if (frames[i]) bitmap[i / 8] = static_cast<Byte>(bitmap[i / 8] | 1u << (i % 8));
    }
    while (!bitmap.empty() && bitmap.back() == 0) bitmap.pop_back();
    return bitmap;
}

std::vector<bool> from_bitmap(ByteView bitmap) {
    std::vector<bool> frames(bitmap.size() * 8);
    for (std::size_t i = 0; i < frames.size(); ++i) frames[i] = (bitmap[i / 8] >> (i % 8) & 1) != 0;
    while (!frames.empty() && !frames.back()) frames.pop_back();
    return frames;
}

DoomedPack decode_doomed_pack(ByteReader& in) {
    DoomedPack doomed;
    const std::uint8_t flags = in.u8();
    if (flags > (flag_removed | flag_all_frames)) in.fail("an unknown flag");
    doomed.removed = (flags & flag_removed) != 0;
    doomed.all_frames = (flags & flag_all_frames) != 0;
    const ByteView bitmap = in.sized(most_bitmap_bytes);
    if (doomed.all_frames && !bitmap.empty()) in.fail("a bitmap beside all frames");
    if (!bitmap.empty() && bitmap.back() == 0) in.fail("a bitmap that is too long");
    if (flags == 0 && bitmap.empty()) in.fail("a pack of which nothing is said");
    doomed.frames = from_bitmap(bitmap);
    return doomed;
}

auto order_in_run(const PackId& pack) { return std::tie(pack.seq, pack.kind, pack.cls); }

} // namespace

void encode_pack_in_run(ByteWriter& out, const PackId& pack) {
    out.u8(pack.kind);
    out.u8(pack.cls);
    out.varint(pack.seq);
}

PackId decode_pack_in_run(ByteReader& in, const RunId& run) {
    PackId pack;
    pack.run = run;
    pack.kind = in.u8();
    pack.cls = in.u8();
    if (!is_pack_kind(pack.kind)) in.fail("an unknown kind of pack");
    pack.seq = static_cast<std::uint32_t>(in.varint_at_most(std::numeric_limits<std::uint32_t>::max()));
    return pack;
}

void DoomedPacks::add_frame(const FrameAddress& frame) {
    DoomedPack& doomed = packs_[frame.pack];
    if (doomed.all_frames) return;
    if (doomed.frames.size() <= frame.frame) doomed.frames.resize(frame.frame + std::size_t{1});
    doomed.frames[frame.frame] = true;
}

void DoomedPacks::add_all_frames(const PackId& pack) {
    DoomedPack& doomed = packs_[pack];
    doomed.all_frames = true;
    doomed.frames.clear();
}

void DoomedPacks::merge(const DoomedPacks& other) {
    for (const auto& [pack, theirs] : other.packs_) {
        DoomedPack& ours = packs_[pack];
        ours.removed = ours.removed || theirs.removed;
        if (ours.all_frames) continue;
        if (theirs.all_frames) {
            ours.all_frames = true;
            ours.frames.clear();
            continue;
        }
        if (ours.frames.size() < theirs.frames.size()) ours.frames.resize(theirs.frames.size());
        for (std::size_t i = 0; i < theirs.frames.size(); ++i) {
            if (theirs.frames[i]) ours.frames[i] = true;
        }
    }
}

bool DoomedPacks::removes(const PackId& pack) const {
    const auto found = packs_.find(pack);
    return found != packs_.end() && found->second.removed;
}

bool DoomedPacks::dooms(const FrameAddress& frame) const {
    const auto found = packs_.find(frame.pack);
    if (found == packs_.end()) return false;
    const DoomedPack& doomed = found->second;
    return doomed.all_frames || (frame.frame < doomed.frames.size() && doomed.frames[frame.frame]);
}

void DoomedPacks::encode(ByteWriter& out) const {
    std::size_t runs = 0;
    const RunId* last = nullptr;
    for (const auto& [pack, doomed] : packs_) {
        if (last == nullptr || *last != pack.run) ++runs;
        last = &pack.run;
    }
    out.varint(runs);
    for (auto at = packs_.begin(); at != packs_.end();) {
        const RunId& run = at->first.run;
        auto end = at;
        std::size_t count = 0;
        for (; end != packs_.end() && end->first.run == run; ++end) ++count;
        out.fixed_bytes(run);
        out.varint(count);
        for (; at != end; ++at) {
            const auto& [pack, doomed] = *at;
            encode_pack_in_run(out, pack);
            out.u8(static_cast<std::uint8_t>((doomed.removed ? flag_removed : 0) |
                                             (doomed.all_frames ? flag_all_frames : 0)));
            out.sized(to_bitmap(doomed.frames));
        }
    }
}

DoomedPacks DoomedPacks::decode(ByteReader& in) {
    DoomedPacks result;
    const std::uint64_t runs = in.varint_at_most(in.remaining() / 17);
    std::optional<RunId> last_run;
    for (std::uint64_t i = 0; i < runs; ++i) {
        const RunId run = in.fixed_bytes<16>();
        if (last_run && *last_run >= run) in.fail("runs that are not in order");
        last_run = run;
        const std::uint64_t packs = in.varint_at_most(in.remaining() / 5);
        if (packs == 0) in.fail("a run without packs");
        std::optional<PackId> last;
        for (std::uint64_t k = 0; k < packs; ++k) {
            const PackId pack = decode_pack_in_run(in, run);
            if (last && order_in_run(*last) >= order_in_run(pack)) in.fail("packs that are not in order");
            last = pack;
            result.packs_.emplace_hint(result.packs_.end(), pack, decode_doomed_pack(in));
        }
    }
    return result;
}

} // namespace holdfast
