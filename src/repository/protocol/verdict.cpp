#include "repository/protocol/verdict.h"

#include <algorithm>
#include <optional>

namespace holdfast {

namespace {

PackId decode_pack(ByteReader& in) {
    const auto pack = PackId::from_bytes(in.fixed_bytes<24>());
    if (!pack) in.fail("an impossible pack");
    return *pack;
}

void encode_moves(ByteWriter& out, const Moves& moves) {
    out.varint(moves.size());
    for (const auto& [from, targets] : moves) {
        out.fixed_bytes(from.to_bytes());
        out.varint(targets.size());
        for (const PackId& to : targets) out.fixed_bytes(to.to_bytes());
    }
}

Moves decode_moves(ByteReader& in) {
    Moves moves;
    const std::uint64_t count = in.varint_at_most(in.remaining() / 25);
    for (std::uint64_t i = 0; i < count; ++i) {
        const PackId from = decode_pack(in);
        if (!moves.empty() && moves.rbegin()->first >= from) in.fail("moves that are not in order");
        const std::uint64_t targets = in.varint_at_most(in.remaining() / 24);
        if (targets == 0) in.fail("a move to nowhere");
        std::vector<PackId>& to = moves[from];
        for (std::uint64_t k = 0; k < targets; ++k) to.push_back(decode_pack(in));
    }
    return moves;
}

template <typename Runs>
void encode_runs(ByteWriter& out, const Runs& runs) {
    out.varint(runs.size());
    for (const RunId& run : runs) out.fixed_bytes(run);
}

// Ascending.
std::vector<RunId> decode_runs(ByteReader& in) {
    std::vector<RunId> runs;
    const std::uint64_t count = in.varint_at_most(in.remaining() / 16);
    for (std::uint64_t i = 0; i < count; ++i) {
        runs.push_back(in.fixed_bytes<16>());
        if (i > 0 && runs[i - 1] >= runs[i]) in.fail("runs that are not in order");
    }
    return runs;
}

// Nothing at all when there are none: so every list from before there were any has its one form, too.
void encode_floors(ByteWriter& out, const LogFloors& floors) {
    if (floors.empty()) return;
    out.varint(floors.size());
    for (const auto& [log, position] : floors) {
        out.fixed_bytes(log.archive);
        out.varint(log.branch);
        out.varint(position);
    }
}

LogFloors decode_floors(ByteReader& in) {
    LogFloors floors;
    if (in.remaining() == 0) return floors;
    const std::uint64_t count = in.varint_at_most(in.remaining() / 18);
    if (count == 0) in.fail("a list of no logs");
    for (std::uint64_t i = 0; i < count; ++i) {
        LogBranchName log;
        log.archive = in.fixed_bytes<16>();
        log.branch = static_cast<std::uint32_t>(in.varint_at_most(UINT32_MAX));
        if (!floors.empty() && floors.rbegin()->first >= log) in.fail("logs that are not in order");
        floors.emplace(log, in.varint());
    }
    return floors;
}

} // namespace

Bytes encode_condemned_list(const CondemnedList& list) {
    ByteWriter out;
    list.doomed.encode(out);
    encode_floors(out, list.released);
    return std::move(out).take();
}

CondemnedList decode_condemned_list(ByteView body) {
    ByteReader in(body, "a list of condemned packs");
    CondemnedList list{.doomed = DoomedPacks::decode(in)};
    list.released = decode_floors(in);
    in.expect_end();
    return list;
}

Bytes encode_verdict(const Verdict& verdict) {
    ByteWriter out;
    out.u8(verdict.abandoned ? 1 : 0);
    verdict.doomed.encode(out);
    encode_moves(out, verdict.moves);
    std::vector<RunId> snapshots = verdict.snapshots;
    std::ranges::sort(snapshots);
    encode_runs(out, snapshots);
    verdict.earlier.encode(out);
    encode_moves(out, verdict.earlier_moves);
    encode_runs(out, verdict.united);
    encode_floors(out, verdict.released);
    return std::move(out).take();
}

Verdict decode_verdict(ByteView body) {
    ByteReader in(body, "the verdict of a collection");
    Verdict verdict;
    const std::uint8_t abandoned = in.u8();
    if (abandoned > 1) in.fail("an unknown flag");
    verdict.abandoned = abandoned == 1;
    verdict.doomed = DoomedPacks::decode(in);
    verdict.moves = decode_moves(in);
    verdict.snapshots = decode_runs(in);
    verdict.earlier = DoomedPacks::decode(in);
    verdict.earlier_moves = decode_moves(in);
    const std::vector<RunId> united = decode_runs(in);
    verdict.united = {united.begin(), united.end()};
    verdict.released = decode_floors(in);
    in.expect_end();
    if (verdict.abandoned && verdict != Verdict{.abandoned = true,
                                                .doomed = {},
                                                .moves = {},
                                                .snapshots = {},
                                                .earlier = {},
                                                .earlier_moves = {},
                                                .united = {}}) {
        in.fail("an abandoned collection that decides something");
    }
    return verdict;
}

} // namespace holdfast
