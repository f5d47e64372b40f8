#include "support/collector_fixture.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace holdfast {
namespace {

using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;

TEST_F(CollectorTest, DeletesWhatAForgottenSnapshotAloneNeeded) {
    ASSERT_FALSE(pruner->ring.reads_content());
    const Snapshot gone = back_up("home", {1, 2});
    const Snapshot kept = back_up("home", {3});
    forget_snapshot(writer(), gone.id, false);
    const CollectorReport report = collect();
    EXPECT_FALSE(report.postponed);
    EXPECT_EQ(report.packs_before, 4u);
    EXPECT_EQ(report.deleted_packs, 2u);
    EXPECT_GT(report.deleted_bytes, 0u);
    EXPECT_EQ(report.deleted_snapshots, 1u);
    EXPECT_THAT(names(packs_prefix), SizeIs(2));
    EXPECT_THAT(names(commits_prefix), SizeIs(1));
    EXPECT_THAT(names(forgets_prefix), SizeIs(1)) << "a repeated put of the commit must stay forgotten";
    EXPECT_THAT(names(intents_prefix), IsEmpty());
    EXPECT_THAT(names(condemned_prefix), IsEmpty());
    EXPECT_EQ(read(kept), std::vector<tiny::Content>{3});
}

TEST_F(CollectorTest, RewritesPacksThatAreMostlyDeadWithoutAContentKey) {
    const Snapshot gone = back_up("home", {1, 2, 3, 4});
    const Snapshot kept = back_up("home", {2});
    PackReader reader(store, admin->ring);
    ASSERT_NO_THROW(reader.read_frame(known[2])); // and its table is cached from now on
    forget_snapshot(writer(), gone.id, false);
    const CollectorReport report = collect();
    EXPECT_EQ(report.rewritten_packs, 1u);
    EXPECT_GT(report.copied_bytes, 0u);
    EXPECT_FALSE(store.objects.contains(known[2].pack.name()));
    EXPECT_TRUE(store.objects.contains(moved_name(known[2].pack)));
    EXPECT_EQ(read(kept), std::vector<tiny::Content>{2});
    EXPECT_EQ(reader.read_frame(known[2]), tiny::bytes_of(2))
        << "a reader that had the old table finds it too";

    // A frame keeps its address: later snapshots may refer to it, and when nobody does, it goes like any
    // other.
    const RepositoryContext context = writer();
    RunContext run = admin->ring.begin_run(random);
    const auto session = WriterSession::begin(context, run, "test", Duration::zero());
    EXPECT_TRUE(session->may_refer(known[2]));
    EXPECT_FALSE(session->may_refer(known[1]));
    session->commit(store_tree(run, "home", {2, 5}));
    forget_snapshot(writer(), kept.id, false);
    collect();
    EXPECT_EQ(reader.read_frame(known[2]), tiny::bytes_of(2));
    forget_snapshot(writer(), run.id(), true);
    collect();
    EXPECT_THAT(names(packs_prefix), IsEmpty());
    EXPECT_THAT(names(moved_prefix), IsEmpty());
}

TEST_F(CollectorTest, LeavesAloneWhatIsNotWorthRewriting) {
    const Snapshot gone = back_up("home", {1, 2, 3, 4});
    back_up("home", {1, 2, 3});
    forget_snapshot(writer(), gone.id, false);
    settings.tolerated_dead_part = 0.9;
    EXPECT_EQ(collect().rewritten_packs, 0u);
    settings.tolerated_dead_part = 0.1;
    settings.rewrite_budget_bytes = 1;
    const CollectorReport report = collect();
    EXPECT_EQ(report.rewritten_packs, 0u);
    EXPECT_GT(report.dead_bytes_kept, 0u);
}

TEST_F(CollectorTest, RewritesTheDeadestUntilLittleEnoughIsDead) {
    const Snapshot one = back_up("home", {1, 2, 3, 4});
    const Snapshot two = back_up("home", {5, 6, 7, 8});
    back_up("home", {1, 5, 6, 7});
    forget_snapshot(writer(), one.id, false);
    forget_snapshot(writer(), two.id, false);
    settings.tolerated_dead_part = 1;
    settings.dry_run = true;
    const CollectorReport before = collect();
    settings.dry_run = false;
    const auto live = static_cast<double>(before.live_bytes);
    const auto half_of_dead = static_cast<double>(before.dead_bytes_kept) / 2;
    settings.tolerated_dead_part =
        half_of_dead / (live + half_of_dead); // the deadest pack has three quarters
    const CollectorReport report = collect();
    EXPECT_EQ(report.rewritten_packs, 1u);
    EXPECT_FALSE(store.objects.contains(known[1].pack.name()));
    EXPECT_TRUE(store.objects.contains(known[5].pack.name()));
    EXPECT_GT(report.dead_bytes_kept, 0u);
    settings.tolerated_dead_part = 0;
    EXPECT_EQ(collect().rewritten_packs, 1u);
    EXPECT_FALSE(store.objects.contains(known[5].pack.name()));
}

TEST_F(CollectorTest, ADamagedPackIsNotCopied) {
    const Snapshot gone = back_up("home", {1, 2});
    back_up("home", {2});
    forget_snapshot(writer(), gone.id, false);
    store.objects[known[1].pack.name()][300] ^= 1; // in a frame
    const CollectorReport report = collect();
    EXPECT_EQ(report.rewritten_packs, 0u);
    EXPECT_THAT(report.problems, Not(IsEmpty()));
    EXPECT_TRUE(store.objects.contains(known[1].pack.name()));
    EXPECT_GT(report.dead_bytes_kept, 0u) << "the dead frame in it";
}

TEST_F(CollectorTest, ADryRunWritesNothing) {
    const Snapshot gone = back_up("home", {1, 2});
    back_up("home", {2});
    forget_snapshot(writer(), gone.id, false);
    const auto before = store.objects;
    settings.dry_run = true;
    const CollectorReport said = collect();
    EXPECT_EQ(store.objects, before);
    settings.dry_run = false;
    const CollectorReport done = collect();
    EXPECT_EQ(said.deleted_packs, done.deleted_packs);
    EXPECT_EQ(said.rewritten_packs, done.rewritten_packs);
    EXPECT_EQ(said.deleted_snapshots, done.deleted_snapshots);
    EXPECT_EQ(done.deleted_packs, 2u);
}

TEST_F(CollectorTest, RefusesAStoreThatCannotDecide) {
    store.has_put_if_absent = false;
    EXPECT_EQ(code_of([&] { collect(); }), ErrorCode::unsupported);
    EXPECT_THAT(names(intents_prefix), IsEmpty());
}

TEST_F(CollectorTest, WaitsForALivingWriterAndFencesADeadOne) {
    const Snapshot gone = back_up("home", {1});
    back_up("home", {2});
    forget_snapshot(writer(), gone.id, false);
    const RepositoryContext context = writer();
    RunContext run = admin->ring.begin_run(random);
    const auto session = WriterSession::begin(context, run, "test", Duration::zero());
    const CollectorReport postponed = collect();
    EXPECT_TRUE(postponed.postponed);
    EXPECT_EQ(postponed.waited_for, std::vector<std::string>{run.id().hex()});
    EXPECT_EQ(postponed.deleted_packs, 0u);
    EXPECT_THAT(names(packs_prefix), SizeIs(4));
    EXPECT_THAT(names(condemned_prefix), IsEmpty());

    settings.patience = Duration::zero();
    const CollectorReport done = collect();
    EXPECT_EQ(done.fenced, std::vector<std::string>{run.id().hex()});
    EXPECT_EQ(done.deleted_packs, 2u);
    EXPECT_EQ(code_of([&] { session->commit(store_tree(run, "home", {1})); }), ErrorCode::fenced);
}

TEST_F(CollectorTest, WhatAWriterCommitsMeanwhileIsTakenOff) {
    const Snapshot gone = back_up("home", {1, 2});
    back_up("home", {3});
    forget_snapshot(writer(), gone.id, false);
    const RepositoryContext context = writer();
    RunContext run = admin->ring.begin_run(random);
    const auto session = WriterSession::begin(context, run, "test", Duration::zero());
    ASSERT_TRUE(session->may_refer(known[1]));
    const Snapshot snapshot = store_tree(run, "home", {1});
    bool committed = false;
    store.before_write = [&](std::string_view, const std::string& name) {
        if (committed || !name.starts_with(condemned_prefix)) return;
        committed = true;
        session->commit(snapshot);
    };
    const CollectorReport report = collect();
    store.before_write = {};
    ASSERT_TRUE(committed);
    EXPECT_FALSE(report.postponed);
    EXPECT_EQ(read(snapshot), std::vector<tiny::Content>{1});
    EXPECT_EQ(report.dead_bytes_kept, stored_bytes(known[2])) << "it stays in the pack that is needed now";
}

TEST_F(CollectorTest, ADamagedSnapshotStopsEverything) {
    const Snapshot gone = back_up("home", {1});
    const Snapshot damaged = back_up("home", {2});
    back_up("home", {3});
    forget_snapshot(writer(), gone.id, false);
    const std::string name = commit_name(damaged.id);
    store.objects[name].back() ^= 1;
    EXPECT_EQ(code_of([&] { collect(); }), ErrorCode::corrupt);
    EXPECT_THAT(names(packs_prefix), SizeIs(6));
    // Whoever knows that it cannot be had back may say so.
    EXPECT_EQ(code_of([&] { forget_snapshot(writer(), damaged.id, false); }), ErrorCode::usage);
    forget_snapshot(writer(), damaged.id, true);
    EXPECT_EQ(collect().deleted_packs, 4u) << "the one that failed is not waited for";
}

TEST_F(CollectorTest, SnapshotsOfALostKeySlotAreNotTakenForNothing) {
    back_up("home", {1});
    add(Role::full, 7, "second");
    const SlotId second = open(7).ring.slot();
    *admin = open(7);
    back_up("elsewhere", {2});
    const Bytes slot = store.objects.at(slot_name(second));
    store.objects.erase(slot_name(second));
    *pruner = open(9);
    EXPECT_EQ(code_of([&] { collect(); }), ErrorCode::corrupt);
    EXPECT_THAT(names(packs_prefix), SizeIs(4));
    store.objects[slot_name(second)] = slot;
    *pruner = open(9);
    EXPECT_EQ(collect().deleted_packs, 0u);
}

TEST_F(CollectorTest, OfARemovedSlotCountsWhatWasLeftToIt) {
    back_up("home", {1});
    add(Role::full, 7, "second");
    Unlocked second = open(7);
    std::swap(*admin, second);
    const Snapshot counts = back_up("elsewhere", {2});
    const Snapshot distrusted = back_up("elsewhere", {3});
    std::swap(*admin, second);
    slots->remove(second.ring.slot(), {.distrusted = {distrusted.id}});
    // Written by a program of the removed holder that was still running.
    std::swap(*admin, second);
    const Snapshot late = back_up("elsewhere", {4});
    std::swap(*admin, second);
    *pruner = open(9);
    const CollectorReport report = collect();
    EXPECT_EQ(report.problems.size(), 2u) << "both are named";
    EXPECT_EQ(report.deleted_packs, 4u);
    EXPECT_EQ(read(counts), std::vector<tiny::Content>{2});
    EXPECT_FALSE(store.objects.contains(late.root.location.frame.pack.name()));
    EXPECT_FALSE(store.objects.contains(distrusted.root.location.frame.pack.name()));
}

TEST_F(CollectorTest, AMissingNodeStopsEverything) {
    const Snapshot gone = back_up("home", {1});
    const Snapshot broken = back_up("home", {2});
    forget_snapshot(writer(), gone.id, false);
    store.objects.erase(broken.root.location.frame.pack.name());
    EXPECT_EQ(code_of([&] { collect(); }), ErrorCode::corrupt);
    EXPECT_TRUE(store.objects.contains(known[1].pack.name()));
}

TEST_F(CollectorTest, LockedPacksGoWhenTheyCan) {
    const Snapshot gone = back_up("home", {1});
    back_up("home", {2});
    forget_snapshot(writer(), gone.id, false);
    store.before_write = [&](std::string_view verb, const std::string& name) {
        if (verb == "remove" && name == known[1].pack.name()) throw Error(ErrorCode::access_denied, "locked");
    };
    const CollectorReport report = collect();
    EXPECT_EQ(report.deleted_packs, 1u);
    EXPECT_EQ(report.locked_packs, 1u);
    EXPECT_TRUE(store.objects.contains(known[1].pack.name()));
    const RepositoryContext context = writer();
    RunContext run = admin->ring.begin_run(random);
    const auto session = WriterSession::begin(context, run, "test", Duration::zero());
    EXPECT_FALSE(session->may_refer(known[1]));
    session->leave();
    store.before_write = {};
    EXPECT_EQ(collect().deleted_packs, 1u);
    EXPECT_FALSE(store.objects.contains(known[1].pack.name()));
}

// Dies before every write in turn; whatever is left, the snapshot that counts can be read, and the next
// collection ends the work.
TEST_F(CollectorTest, KilledAnywhereTheNextOneGoesOn) {
    const Snapshot gone = back_up("home", {1, 2, 3});
    const Snapshot kept = back_up("home", {2});
    forget_snapshot(writer(), gone.id, false);
    const auto objects = store.objects;
    const auto modified = store.modified;
    settings.collector_patience = Duration::zero();
    for (unsigned last = 0;; ++last) {
        store.objects = objects;
        store.modified = modified;
        unsigned writes = 0;
        store.before_write = [&](std::string_view, const std::string&) {
            if (writes++ == last) throw Killed{};
        };
        bool killed = false;
        try {
            collect();
        } catch (const Killed&) {
            killed = true;
        }
        store.before_write = {};
        EXPECT_EQ(read(kept), std::vector<tiny::Content>{2}) << "killed before write " << last;
        collect();
        EXPECT_EQ(read(kept), std::vector<tiny::Content>{2}) << "after going on from write " << last;
        // Copied data, copied or old metadata: of the forgotten snapshot nothing.
        EXPECT_THAT(names(packs_prefix), SizeIs(2)) << "killed before write " << last;
        EXPECT_THAT(names(condemned_prefix), IsEmpty());
        EXPECT_THAT(names(intents_prefix), IsEmpty());
        if (!killed) {
            EXPECT_GT(last, 10u);
            break;
        }
    }
}

// Stopped at every write in turn: before the verdict it takes back all it did, behind it the next one goes
// on.
TEST_F(CollectorTest, StoppedAnywhereItEndsCleanly) {
    const Snapshot gone = back_up("home", {1, 2, 3});
    const Snapshot kept = back_up("home", {2});
    forget_snapshot(writer(), gone.id, false);
    const auto objects = store.objects;
    const auto modified = store.modified;
    for (unsigned last = 0;; ++last) {
        store.objects = objects;
        store.modified = modified;
        unsigned writes = 0;
        std::stop_source stop;
        store.before_write = [&](std::string_view, const std::string&) {
            if (writes++ == last) stop.request_stop();
        };
        bool stopped = false;
        Progress progress;
        try {
            collect_garbage(collector(), settings, progress, stop.get_token());
        } catch (const Error& error) {
            EXPECT_EQ(error.code(), ErrorCode::cancelled) << error.message();
            stopped = true;
        }
        store.before_write = {};
        EXPECT_EQ(read(kept), std::vector<tiny::Content>{2});
        // Those of the two writers, which have ended, go at last.
        for (const std::string& name : names(intents_prefix))
            EXPECT_TRUE(objects.contains(name)) << "stopped at write " << last << ": " << name;
        if (names(verdicts_prefix).empty()) {
            EXPECT_TRUE(stopped);
            EXPECT_THAT(names(condemned_prefix), IsEmpty());
            for (const auto& [name, _] : objects) EXPECT_TRUE(store.objects.contains(name)) << name;
        }
        EXPECT_FALSE(collect().postponed) << "nothing has to be waited for";
        EXPECT_EQ(read(kept), std::vector<tiny::Content>{2});
        EXPECT_THAT(names(packs_prefix), SizeIs(2)) << "stopped at write " << last;
        if (!stopped) {
            EXPECT_GT(last, 10u);
            break;
        }
    }
}

TEST_F(CollectorTest, AWriterThatLeavesIsNotWaitedForAnyLonger) {
    const RepositoryContext context = writer();
    RunContext run = admin->ring.begin_run(random);
    const auto session = WriterSession::begin(context, run, "test", Duration::zero());
    settings.wait = std::chrono::hours(10);
    bool condemned = false;
    int beats = 0;
    store.before_write = [&](std::string_view verb, const std::string& name) {
        if (verb != "put") return;
        if (name.starts_with(condemned_prefix)) condemned = true;
        // The first of these comes before the list of those to wait for, the second while waiting.
        if (condemned && name.starts_with(intents_prefix) && ++beats == 2) session->leave();
    };
    const CollectorReport report = collect();
    EXPECT_GE(beats, 2);
    EXPECT_FALSE(report.postponed);
    EXPECT_THAT(report.fenced, IsEmpty());
}

TEST_F(CollectorTest, WaitingForAWriterIsStopped) {
    const RepositoryContext context = writer();
    RunContext run = admin->ring.begin_run(random);
    const auto session = WriterSession::begin(context, run, "test", Duration::zero());
    settings.wait = std::chrono::hours(10);
    std::stop_source stop;
    store.before_write = [&](std::string_view, const std::string& name) {
        if (name.starts_with(condemned_prefix)) stop.request_stop();
    };
    Progress progress;
    EXPECT_EQ(code_of([&] { collect_garbage(collector(), settings, progress, stop.get_token()); }),
              ErrorCode::cancelled);
    store.before_write = {};
    EXPECT_THAT(names(intents_prefix), SizeIs(1)) << "that of the writer";
    EXPECT_THAT(names(condemned_prefix), IsEmpty());
}

TEST_F(CollectorTest, OneThatSleptIsStopped) {
    const Snapshot gone = back_up("home", {1});
    back_up("home", {2});
    forget_snapshot(writer(), gone.id, false);
    bool overtaken = false;
    store.before_write = [&](std::string_view verb, const std::string& name) {
        if (overtaken || verb != "put" || !name.starts_with(verdicts_prefix)) return;
        overtaken = true;
        settings.collector_patience = Duration::zero();
        EXPECT_EQ(collect().deleted_packs, 2u);
    };
    EXPECT_EQ(code_of([&] { collect(); }), ErrorCode::fenced);
    EXPECT_TRUE(overtaken);
}

TEST_F(CollectorTest, OldVerdictsAreUnitedAndThenRemoved) {
    std::vector<Snapshot> snapshots;
    for (tiny::Content content = 1; content <= 4; ++content) snapshots.push_back(back_up("home", {content}));
    for (std::size_t i = 0; i < 3; ++i) {
        forget_snapshot(writer(), snapshots[i].id, false);
        collect();
    }
    // The second has united the first, and the third could remove it.
    EXPECT_THAT(names(verdicts_prefix), SizeIs(2));
    const StandingVerdicts standing = read_verdicts(writer());
    for (tiny::Content content = 1; content <= 3; ++content)
        EXPECT_TRUE(standing.decided().dooms(known[content]));
    EXPECT_FALSE(standing.decided().dooms(known[4]));
}

TEST_F(CollectorTest, IndexSegmentsLoseDeadEntries) {
    const Snapshot gone = back_up("home", {1, 2});
    back_up("home", {2, 3});
    const DomainId domain = domain_id("default");
    const auto put_segment = [&](const std::vector<tiny::Content>& contents, const KeyRing& ring) {
        const RunContext run = ring.begin_run(random);
        const std::string name = index_segment_name(domain, run.id(), 0);
        std::vector<IndexEntry> entries;
        for (const tiny::Content content : contents) {
            BlobId id;
            id.bytes.fill(static_cast<Byte>(content));
            entries.push_back({id, {known[content].pack, known[content].frame, 0, 1}});
        }
        SegmentIdentity identity{object_key(run.structure_secret().view(), ObjectKind::index_segment, name),
                                 name};
        const Bytes body = encode_segment(std::move(identity), entries).joined();
        store.put(name, sign_parts(ObjectKind::index_segment, name, body, run));
        return name;
    };
    const std::string others = put_segment({1, 2}, admin->ring);
    const std::string own = put_segment({1, 2}, pruner->ring);
    const std::string live = put_segment({3}, admin->ring);
    forget_snapshot(writer(), gone.id, false);
    CollectorReport report = collect();
    EXPECT_THAT(report.problems, IsEmpty());
    EXPECT_EQ(report.deleted_index_segments, 1u);
    EXPECT_TRUE(store.objects.contains(others)) << "it has a living entry, and is not ours to sign";
    EXPECT_FALSE(store.objects.contains(own));
    EXPECT_TRUE(store.objects.contains(live));
    EXPECT_THAT(names(index_prefix), SizeIs(3));
}

TEST_F(CollectorTest, CheckpointsAreKeptForAWhile) {
    back_up("home", {1});
    const RepositoryContext context = writer();
    RunContext run = admin->ring.begin_run(random);
    Snapshot checkpoint;
    {
        const auto session = WriterSession::begin(context, run, "test", Duration::zero());
        checkpoint = store_tree(run, "home", {2});
        checkpoint.state = SnapshotState::unfinished;
        session->checkpoint(checkpoint);
    }
    settings.patience = Duration::zero();
    EXPECT_EQ(collect().deleted_packs, 0u);
    EXPECT_EQ(read(checkpoint), std::vector<tiny::Content>{2});
    settings.keep_checkpoints = Duration::zero();
    EXPECT_EQ(collect().deleted_packs, 2u);
    EXPECT_THAT(names(checkpoints_prefix), IsEmpty());
}

} // namespace
} // namespace holdfast
