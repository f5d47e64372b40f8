#include "base/error.h"
#include "repository/moved_pack.h"
#include "repository/protocol/protocol_object.h"
#include "repository/protocol/run_intent.h"
#include "repository/protocol/standing_verdicts.h"
#include "repository/protocol/writer_session.h"
#include "support/repository_fixture.h"
#include "support/tiny_backup.h"

#include <gtest/gtest.h>

namespace holdfast {
namespace {

class WriterSessionTest : public RepositoryTest {
  protected:
    RepositoryContext context{store, admin->ring, admin->trust, clock, random, {}};
    RunContext run = admin->ring.begin_run(random);

    std::unique_ptr<WriterSession> begin() {
        return WriterSession::begin(context, run, "test", Duration::zero());
    }

    Snapshot snapshot(SnapshotState state = SnapshotState::complete) const {
        Snapshot snapshot;
        snapshot.id = run.id();
        snapshot.source = "home";
        snapshot.kind = "documents";
        snapshot.time = snapshot.end = clock.now();
        snapshot.root.location = {{{run.id(), 0, metadata_pack, 0}, 0}, 0, 1};
        snapshot.state = state;
        return snapshot;
    }
    PackId listed_pack(std::uint32_t seq) {
        const PackId pack{run.id(), seq, data_pack, 0};
        const Bytes anything{1};
        store.put(pack.name(), anything);
        return pack;
    }
    template <typename Body>
    void put_signed(ObjectKind kind, const std::string& name, const Body& body, const RunContext& by) {
        store.put(name, sign_object(kind, name, body, by));
    }
};

TEST_F(WriterSessionTest, PutsItsIntentBeforeItLooks) {
    std::vector<std::string> puts;
    store.before_write = [&](std::string_view, const std::string& name) { puts.push_back(name); };
    const auto session = begin();
    ASSERT_EQ(puts, std::vector<std::string>{intent_name(run.id(), 0)});
    session->beat();
    EXPECT_EQ(puts.back(), intent_name(run.id(), 1));
    EXPECT_TRUE(store.objects.contains(intent_name(run.id(), 1)));
}

TEST_F(WriterSessionTest, AnIntentOfWhichNoAnswerCameIsTakenBack) {
    store.before_write = [&](std::string_view verb, const std::string& name) {
        if (verb != "put") return;
        store.objects[name] = Bytes{1};
        throw Error(ErrorCode::unavailable, "the answer was lost");
    };
    EXPECT_EQ(code_of([&] { begin(); }), ErrorCode::unavailable);
    EXPECT_TRUE(list_names(store, intents_prefix).empty());
}

TEST_F(WriterSessionTest, CommitsAndIsListed) {
    begin()->commit(snapshot());
    const SnapshotList list = list_snapshots(context);
    ASSERT_EQ(list.snapshots.size(), 1u);
    EXPECT_EQ(list.snapshots[0], snapshot());
    EXPECT_TRUE(list.problems.empty());
}

TEST_F(WriterSessionTest, ALostAnswerToTheCommitIsResolved) {
    const auto session = begin();
    session->commit(snapshot());
    // As if the answer to the first had been lost.
    EXPECT_NO_THROW(session->commit(snapshot()));
    EXPECT_EQ(list_snapshots(context).snapshots.size(), 1u);
}

TEST_F(WriterSessionTest, AFenceIsFoundOut) {
    const auto session = begin();
    const RunContext collector = admin->ring.begin_run(random);
    put_signed(ObjectKind::fence, commit_name(run.id()), as_bytes("{}"), collector);
    EXPECT_EQ(code_of([&] { session->commit(snapshot()); }), ErrorCode::fenced);
    const SnapshotList list = list_snapshots(context);
    EXPECT_TRUE(list.snapshots.empty());
    EXPECT_EQ(list.fenced, std::vector<RunId>{run.id()});
}

TEST_F(WriterSessionTest, RefersToNothingCondemnedOrUnlisted) {
    const PackId whole = listed_pack(0);
    const PackId part = listed_pack(1);
    const PackId decided = listed_pack(2);
    const PackId unlisted{run.id(), 3, data_pack, 0};
    CondemnedList list;
    list.doomed.add_all_frames(whole);
    list.doomed.add_frame({part, 1});
    const RunContext collector = admin->ring.begin_run(random);
    put_signed(ObjectKind::condemned, condemned_name(collector.id()), encode_condemned_list(list), collector);
    Verdict verdict;
    verdict.doomed.remove_pack(decided);
    verdict.doomed.add_all_frames(decided);
    const RunContext earlier = admin->ring.begin_run(random);
    put_signed(ObjectKind::verdict, verdict_name(earlier.id()), encode_verdict(verdict), earlier);

    const auto session = begin();
    for (const auto& [frame, expected] : {std::pair{FrameAddress{whole, 0}, false},
                                          {{part, 0}, true},
                                          {{part, 1}, false},
                                          {{decided, 0}, false},
                                          {{unlisted, 0}, false}}) {
        EXPECT_EQ(session->may_refer(frame), expected) << frame.pack.name() << " " << frame.frame;
    }
}

TEST_F(WriterSessionTest, FollowsMovesToListedPacks) {
    const PackId target = listed_pack(1);
    const PackId moved{run.id(), 2, data_pack, 0};
    const PackId astray{run.id(), 3, data_pack, 0};
    Verdict verdict;
    verdict.doomed.remove_pack(moved);
    verdict.doomed.add_frame({moved, 0});
    verdict.moves[moved] = {target};
    verdict.doomed.remove_pack(astray);
    verdict.moves[astray] = {{run.id(), 4, data_pack, 0}};
    const RunContext collector = admin->ring.begin_run(random);
    put_signed(ObjectKind::verdict, verdict_name(collector.id()), encode_verdict(verdict), collector);
    const auto session = begin();
    EXPECT_FALSE(session->may_refer({moved, 0}));
    EXPECT_TRUE(session->may_refer({moved, 1}));
    EXPECT_FALSE(session->may_refer({astray, 0})) << "what is lost is no place to refer to";
}

TEST_F(WriterSessionTest, OfTwoCopiesTheOneThatDiedIsNotMissed) {
    const PackId moved{run.id(), 2, data_pack, 0};
    const PackId lives = listed_pack(3);
    const PackId dead{run.id(), 4, data_pack, 0};
    Verdict verdict;
    verdict.moves[moved] = {lives, dead};
    verdict.doomed.remove_pack(moved);
    verdict.doomed.add_frame({moved, 1});
    verdict.doomed.remove_pack(dead);
    const RunContext collector = admin->ring.begin_run(random);
    put_signed(ObjectKind::verdict, verdict_name(collector.id()), encode_verdict(verdict), collector);
    const auto session = begin();
    EXPECT_TRUE(session->may_refer({moved, 0}));
    EXPECT_FALSE(session->may_refer({moved, 1}));
}

// A collector puts its verdict, says where the packs went and deletes them while a writer is between reading
// verdicts and listing packs.
TEST_F(WriterSessionTest, WhereAPackWentIsBelievedOfThoseWhoMaySayItAndOnlyIfItIsThere) {
    add(Role::write, 3, "writer");
    const Unlocked writer = open(3);
    const PackId target = listed_pack(9);
    const PackId right{run.id(), 0, data_pack, 0};
    const PackId junk{run.id(), 1, data_pack, 0};
    const PackId forged{run.id(), 2, data_pack, 0};
    const PackId astray{run.id(), 3, data_pack, 0};
    const PackId damaged{run.id(), 4, data_pack, 0};
    const RunContext collector = admin->ring.begin_run(random);
    const RunContext other = writer.ring.begin_run(random);
    const Bytes to_target = encode_moved({target});
    put_signed(ObjectKind::moved, moved_name(right), to_target, collector);
    store.objects[moved_name(junk)] = Bytes(100, 7);
    put_signed(ObjectKind::moved, moved_name(forged), to_target, other);
    put_signed(ObjectKind::moved, moved_name(astray), encode_moved({{run.id(), 8, data_pack, 0}}), collector);
    put_signed(ObjectKind::moved, moved_name(damaged), as_bytes("{}"), collector);
    const Unlocked now = unlock(store, passphrase());
    const RepositoryContext current{store, now.ring, now.trust, clock, random, {}};
    const auto session = WriterSession::begin(current, run, "test", Duration::zero());
    EXPECT_TRUE(session->may_refer({right, 0}));
    for (const PackId& pack : {junk, forged, astray, damaged})
        EXPECT_FALSE(session->may_refer({pack, 0})) << pack.name();
    EXPECT_EQ(session->problems().size(), 3u);
}

TEST_F(WriterSessionTest, ADamagedVerdictMeansReferringToNothing) {
    const PackId pack = listed_pack(0);
    const RunContext collector = admin->ring.begin_run(random);
    const std::string name = verdict_name(collector.id());
    put_signed(ObjectKind::verdict, name, encode_verdict({}), collector);
    EXPECT_TRUE(begin()->may_refer({pack, 0}));
    store.objects[name].back() ^= 1;
    const auto session = begin();
    EXPECT_FALSE(session->may_refer({pack, 0}));
    EXPECT_FALSE(session->problems().empty());
}

TEST_F(WriterSessionTest, VerdictsOfThoseWhoMayNotAreIgnored) {
    const PackId pack = listed_pack(0);
    add(Role::write, 3, "writer");
    const Unlocked writer = open(3);
    const RunContext other = writer.ring.begin_run(random);
    Verdict verdict;
    verdict.doomed.add_all_frames(pack);
    put_signed(ObjectKind::verdict, verdict_name(other.id()), encode_verdict(verdict), other);
    const Unlocked now = unlock(store, passphrase());
    const RepositoryContext current{store, now.ring, now.trust, clock, random, {}};
    const auto session = WriterSession::begin(current, run, "test", Duration::zero());
    EXPECT_TRUE(session->may_refer({pack, 0}));
    EXPECT_EQ(session->problems().size(), 1u);
}

TEST_F(WriterSessionTest, CheckpointsOfUnfinishedRunsOfTheSourceAreFound) {
    const auto session = begin();
    session->checkpoint(snapshot(SnapshotState::unfinished));
    Snapshot later = snapshot(SnapshotState::unfinished);
    later.end += std::chrono::seconds(9);
    session->checkpoint(later);
    RunContext next = admin->ring.begin_run(random);
    const auto other = WriterSession::begin(context, next, "test", Duration::zero());
    ASSERT_EQ(other->checkpoints("home").size(), 1u);
    EXPECT_EQ(other->checkpoints("home")[0], later);
    EXPECT_TRUE(other->checkpoints("elsewhere").empty());
    EXPECT_TRUE(session->checkpoints("home").empty()) << "its own are no help to it";
    session->commit(snapshot());
    RunContext last = admin->ring.begin_run(random);
    EXPECT_TRUE(WriterSession::begin(context, last, "test", Duration::zero())->checkpoints("home").empty());
}

TEST_F(WriterSessionTest, ACheckpointThatLostAPartIsNotBuiltOn) {
    tiny::TinyPack data(run, 0, data_pack);
    DirectoryLeafBuilder leaf;
    leaf.add(tiny::document_entry("1", 5, data.add(tiny::bytes_of(5), BlobType::data, BlobId{})));
    const Bytes node = leaf.finish();
    tiny::TinyPack metadata(run, 1, metadata_pack);
    const NodeId id = node_id(node);
    const FrameAddress frame = metadata.add(node, BlobType::node, id);
    data.put(store);
    metadata.put(store);
    Snapshot checkpoint = snapshot(SnapshotState::unfinished);
    checkpoint.root = {id, {frame, 0, static_cast<std::uint32_t>(node.size())}};
    PackReader packs(store, admin->ring);
    NodeReader nodes(packs);
    EXPECT_TRUE(begin()->may_build_on(checkpoint, nodes));

    CondemnedList list;
    list.doomed.add_all_frames(data.id());
    const RunContext collector = admin->ring.begin_run(random);
    put_signed(ObjectKind::condemned, condemned_name(collector.id()), encode_condemned_list(list), collector);
    EXPECT_FALSE(begin()->may_build_on(checkpoint, nodes)) << "its root is there, a document is going";
}

// However long it lives, it takes few steps to leave, and any listing shows the first beat or a new one.
TEST_F(WriterSessionTest, OfItsBeatsTheFirstAndTheNewestStay) {
    const auto names = [&](std::initializer_list<std::uint32_t> beats) {
        std::vector<std::string> all;
        for (const std::uint32_t beat : beats) all.push_back(intent_name(run.id(), beat));
        return all;
    };
    const std::string prefix = std::string(intents_prefix) + run.id().hex();
    const auto session = begin();
    for (int i = 0; i < 3; ++i) session->beat();
    EXPECT_EQ(list_names(store, prefix), names({0, 1, 2, 3}));
    for (int i = 0; i < 100; ++i) session->beat();
    EXPECT_EQ(list_names(store, prefix), names({0, 101, 102, 103}));

    std::vector<std::string> removed;
    store.before_write = [&](std::string_view, const std::string& name) { removed.push_back(name); };
    session->leave();
    store.before_write = {};
    EXPECT_EQ(removed, names({103, 102, 101, 0})) << "what a hindrance leaves looks silent for long";
    EXPECT_TRUE(list_names(store, prefix).empty());
}

TEST_F(WriterSessionTest, AStoreThatForbidsDeletingIsNotAskedForItAgain) {
    unsigned asked = 0;
    store.before_write = [&](std::string_view verb, const std::string&) {
        if (verb != "remove") return;
        ++asked;
        throw Error(ErrorCode::access_denied, "planned");
    };
    const auto session = begin();
    for (int i = 0; i < 20; ++i) session->beat();
    store.before_write = {};
    EXPECT_EQ(asked, 1U);
    EXPECT_EQ(list_names(store, std::string(intents_prefix) + run.id().hex()).size(), 21U);
}

TEST_F(WriterSessionTest, BeatsGoOnByThemselves) {
    std::atomic<unsigned> beats = 0;
    std::mutex mutex;
    std::condition_variable changed;
    store.before_write = [&](std::string_view, const std::string& name) {
        if (!name.starts_with(intents_prefix)) return;
        const std::scoped_lock lock(mutex);
        ++beats;
        changed.notify_all();
    };
    RunContext other = admin->ring.begin_run(random);
    const RepositoryContext real{store, admin->ring, admin->trust, system_clock(), random, {}};
    {
        const auto session = WriterSession::begin(real, other, "test", std::chrono::milliseconds(1));
        std::unique_lock lock(mutex);
        EXPECT_TRUE(changed.wait_for(lock, std::chrono::seconds(60), [&] { return beats >= 3; }));
    }
    store.before_write = {};
}

} // namespace
} // namespace holdfast
