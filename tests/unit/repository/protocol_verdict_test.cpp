#include "base/error.h"
#include "repository/protocol/pack_set.h"
#include "repository/protocol/verdict.h"

#include <gtest/gtest.h>

namespace holdfast {
namespace {

PackId pack(Byte run, std::uint32_t seq, std::uint8_t kind = data_pack) {
    PackId id;
    id.run.bytes.fill(run);
    id.seq = seq;
    id.kind = kind;
    return id;
}

DoomedPacks sample() {
    DoomedPacks doomed;
    doomed.remove_pack(pack(1, 0));
    doomed.add_all_frames(pack(1, 0));
    doomed.add_frame({pack(1, 2), 9});
    doomed.add_frame({pack(1, 2, metadata_pack), 0});
    doomed.remove_pack(pack(7, 300));
    return doomed;
}

TEST(DoomedPacks, KnowsFramesByTheirAddress) {
    const DoomedPacks doomed = sample();
    EXPECT_TRUE(doomed.dooms({pack(1, 0), 12345}));
    EXPECT_TRUE(doomed.dooms({pack(1, 2), 9}));
    EXPECT_FALSE(doomed.dooms({pack(1, 2), 8}));
    EXPECT_FALSE(doomed.dooms({pack(1, 2), 10}));
    // A pack may be removed while its frames live on elsewhere.
    EXPECT_TRUE(doomed.removes(pack(7, 300)));
    EXPECT_FALSE(doomed.dooms({pack(7, 300), 0}));
    EXPECT_FALSE(doomed.removes(pack(1, 2)));
}

TEST(DoomedPacks, MergesBothWays) {
    DoomedPacks some;
    some.add_frame({pack(1, 0), 1});
    some.add_frame({pack(1, 2), 3});
    DoomedPacks all = sample();
    all.merge(some);
    EXPECT_TRUE(all.dooms({pack(1, 0), 77}));
    EXPECT_TRUE(all.dooms({pack(1, 2), 3}));
    some.merge(sample());
    EXPECT_EQ(some, all);
}

TEST(CondemnedList, SurvivesBeingWritten) {
    const CondemnedList list{sample()};
    EXPECT_EQ(decode_condemned_list(encode_condemned_list(list)), list);
    EXPECT_EQ(decode_condemned_list(encode_condemned_list({})), CondemnedList{});
}

TEST(CondemnedList, RefusesEveryShorterForm) {
    const Bytes body = encode_condemned_list({sample()});
    for (std::size_t size = 0; size < body.size(); ++size) {
        EXPECT_THROW(decode_condemned_list(ByteView(body).first(size)), Error) << size;
    }
}

TEST(CondemnedList, RefusesWhatIsNotTheOneForm) {
    DoomedPacks one;
    one.add_frame({pack(1, 2), 0});
    Bytes body = encode_condemned_list({one});
    // runs | id16 | packs | kind | class | seq | flags | bitmap length | bitmap
    ASSERT_EQ(body.size(), 1u + 16 + 1 + 1 + 1 + 1 + 1 + 1 + 1);
    Bytes empty_bitmap = body;
    empty_bitmap.back() = 0;
    EXPECT_THROW(decode_condemned_list(empty_bitmap), Error);
    Bytes unknown_flag = body;
    unknown_flag[21] = 4;
    EXPECT_THROW(decode_condemned_list(unknown_flag), Error);
    Bytes both = body;
    both[21] = 2;
    EXPECT_THROW(decode_condemned_list(both), Error);
    Bytes unknown_kind = body;
    unknown_kind[18] = 'x';
    EXPECT_THROW(decode_condemned_list(unknown_kind), Error);
    body.push_back(0);
    EXPECT_THROW(decode_condemned_list(body), Error);
}

TEST(Verdict, SurvivesBeingWritten) {
    Verdict verdict;
    verdict.doomed = sample();
    verdict.moves[pack(1, 2)] = {pack(8, 0), pack(8, 1)};
    verdict.snapshots = {pack(3, 0).run, pack(5, 0).run};
    verdict.earlier = sample();
    verdict.earlier_moves[pack(2, 2)] = {pack(9, 0)};
    verdict.united = {pack(4, 0).run};
    EXPECT_EQ(decode_verdict(encode_verdict(verdict)), verdict);
}

TEST(Verdict, TellsUpToWhereLogsAreReleased) {
    ArchiveId archive;
    archive.bytes.fill(7);
    const LogFloors floors{{{archive, 1}, 0x3000000}, {{archive, 2}, 5}};
    CondemnedList list{sample()};
    list.released = floors;
    EXPECT_EQ(decode_condemned_list(encode_condemned_list(list)), list);
    Verdict verdict;
    verdict.doomed = sample();
    verdict.released = floors;
    Bytes body = encode_verdict(verdict);
    EXPECT_EQ(decode_verdict(body), verdict);
    body.push_back(0);
    EXPECT_THROW(decode_verdict(body), Error);
    // None have one form: nothing.
    body = encode_verdict({});
    body.push_back(0);
    EXPECT_THROW(decode_verdict(body), Error);
    verdict = {};
    verdict.abandoned = true;
    verdict.released = floors;
    EXPECT_THROW(decode_verdict(encode_verdict(verdict)), Error);
}

TEST(Verdict, OfFloorsTheHigherCounts) {
    LogFloors floors{{{ArchiveId{}, 1}, 10}, {{ArchiveId{}, 2}, 10}};
    raise_floors(floors, {{{ArchiveId{}, 1}, 5}, {{ArchiveId{}, 2}, 20}, {{ArchiveId{}, 3}, 1}});
    EXPECT_EQ(floors, (LogFloors{{{ArchiveId{}, 1}, 10}, {{ArchiveId{}, 2}, 20}, {{ArchiveId{}, 3}, 1}}));
}

TEST(Verdict, AnAbandonedOneDecidesNothing) {
    Verdict verdict;
    verdict.abandoned = true;
    EXPECT_EQ(decode_verdict(encode_verdict(verdict)), verdict);
    verdict.doomed.remove_pack(pack(1, 1));
    EXPECT_THROW(decode_verdict(encode_verdict(verdict)), Error);
}

TEST(PackSet, HoldsPacksOfAllKindsInAnyOrder) {
    PackSet set;
    EXPECT_TRUE(set.insert(pack(1, 5)));
    EXPECT_TRUE(set.insert(pack(1, 3)));
    EXPECT_TRUE(set.insert(pack(1, 3, metadata_pack)));
    EXPECT_TRUE(set.insert(pack(2, 0xffffffff)));
    EXPECT_FALSE(set.insert(pack(1, 3)));
    EXPECT_EQ(set.size(), 4u);
    EXPECT_TRUE(set.contains(pack(1, 3, metadata_pack)));
    EXPECT_FALSE(set.contains(pack(1, 5, metadata_pack)));
    EXPECT_FALSE(set.contains(pack(3, 5)));
    std::size_t visited = 0;
    set.for_each([&](const PackId& id) {
        EXPECT_TRUE(set.contains(id));
        ++visited;
    });
    EXPECT_EQ(visited, 4u);
}

} // namespace
} // namespace holdfast
