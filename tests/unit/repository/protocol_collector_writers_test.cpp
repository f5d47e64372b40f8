// Collections beside runs that write.

#include "support/collector_fixture.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace holdfast {
namespace {

using testing::IsEmpty;
using testing::SizeIs;

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
