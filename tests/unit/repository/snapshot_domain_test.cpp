// A writer speaks of its own domain alone: what its snapshots say of others does not count.
#include "repository/log/log_writer.h"
#include "repository/protocol/snapshot_list.h"
#include "support/collector_fixture.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace holdfast {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

class SnapshotDomainTest : public CollectorTest {
  protected:
    SnapshotDomainTest() {
        add(Role::write, 4, "stranger", "web");
        UnlockOptions with_cache;
        with_cache.cache = std::make_shared<MapRunSecretCache>();
        stranger = std::make_unique<Unlocked>(open(4, with_cache));
        *admin = unlock(store, passphrase());
        *pruner = open(9);
    }
    RunId commit(const Unlocked& holder, const std::string& domain, std::uint64_t sequence,
                 const std::optional<SnapshotLog>& log = {}, const std::string& source = "orders") {
        RunContext run = holder.ring.begin_run(random);
        Snapshot snapshot = store_tree(run, source, {1});
        snapshot.domain = domain;
        snapshot.sequence = sequence;
        snapshot.log = log;
        const std::string name = commit_name(run.id());
        store.put(name, seal_object(ObjectKind::commit, name, encode_snapshot(snapshot), run));
        known.clear(); // nobody refers to what may go
        return run.id();
    }
    static ArchiveId archive_of(const std::string& domain) {
        return archive_id(domain_id(domain), Bytes(32, 1), "orders", "1");
    }
    std::vector<RunId> listed() {
        std::vector<RunId> ids;
        list = list_snapshots(writer());
        for (const Snapshot& snapshot : list.snapshots) ids.push_back(snapshot.id);
        return ids;
    }

    std::unique_ptr<Unlocked> stranger;
    SnapshotList list;
};

TEST_F(SnapshotDomainTest, OfAWriterInTheNameOfAnotherDomainIsPassedOver) {
    const RunId own = commit(*admin, "default", 1);
    commit(*stranger, "default", 1000);
    EXPECT_THAT(listed(), ElementsAre(own));
    EXPECT_THAT(list.problems, ElementsAre(HasSubstr("may not speak of the domain default")));
    EXPECT_THAT(list.damaged, IsEmpty());
    const RunId of_web = commit(*stranger, "web", 1);
    const RunId of_admin = commit(*admin, "web", 2);
    EXPECT_THAT(listed(), testing::UnorderedElementsAre(own, of_web, of_admin));
}

TEST_F(SnapshotDomainTest, ACheckpointInTheNameOfAnotherDomainIsPassedOver) {
    for (const std::string domain : {"default", "web"}) {
        RunContext run = stranger->ring.begin_run(random);
        Snapshot snapshot = store_tree(run, "orders", {1});
        known.clear();
        snapshot.domain = domain;
        snapshot.state = SnapshotState::unfinished;
        const std::string name = checkpoint_name(run.id(), 0);
        store.put(name, seal_object(ObjectKind::checkpoint, name, encode_snapshot(snapshot), run));
    }
    const std::vector<Snapshot> checkpoints = list_checkpoints(writer(), {});
    ASSERT_THAT(checkpoints, SizeIs(1));
    EXPECT_EQ(checkpoints.front().domain, "web");
}

TEST_F(SnapshotDomainTest, WithTheLogOfAnotherDomainIsPassedOver) {
    commit(*stranger, "web", 1, SnapshotLog{archive_of("default"), {1, 500, 600}});
    EXPECT_THAT(listed(), IsEmpty());
    EXPECT_THAT(list.problems, ElementsAre(HasSubstr("the log of another domain")));
    const RunId own = commit(*stranger, "web", 1, SnapshotLog{archive_of("web"), {1, 500, 600}});
    EXPECT_THAT(listed(), ElementsAre(own));
}

TEST_F(SnapshotDomainTest, AStrangersCommitDeletesNoLog) {
    const RepositoryContext context = writer();
    LogWriter log(context, archive_of("default"), 1);
    Compressor compressor;
    const Bytes content(100, 7);
    const SealedSlice slice = log.seal({.range = {1, 0, 100}, .content = content}, compressor);
    log.put(slice);
    commit(*stranger, "web", 1, SnapshotLog{archive_of("default"), {1, 500, 600}});
    commit(*stranger, "default", 1, SnapshotLog{archive_of("default"), {1, 500, 600}});
    EXPECT_EQ(collect().deleted_log_slices, 0U);
    EXPECT_TRUE(store.objects.contains(slice.id.name()));
}

TEST_F(SnapshotDomainTest, TheNewestOfASourceIsNotAStrangers) {
    const RunId own = commit(*admin, "default", 1);
    commit(*stranger, "web", 1000);
    listed();
    EXPECT_EQ(newest_of(list.snapshots, "orders", "default")->id, own);
    EXPECT_EQ(newest_of(list.snapshots, "orders", "web")->sequence, 1000U);
    EXPECT_EQ(code_of([&] { newest_of(list.snapshots, "orders", "third"); }), ErrorCode::usage);
    EXPECT_EQ(newest_of(list.snapshots, "bills", "third"), nullptr);
    const RunId alone = commit(*stranger, "web", 1, {}, "bills");
    listed();
    EXPECT_EQ(newest_of(list.snapshots, "bills", "third")->id, alone);
}

} // namespace
} // namespace holdfast
