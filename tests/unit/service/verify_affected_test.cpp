// Which snapshots and which files damage concerns.
#include "base/error.h"
#include "repository/protocol/collector.h"
#include "unit/service/verify_fixture.h"

#include <gmock/gmock.h>

namespace holdfast {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

TEST_F(VerifyTest, TellsWhichFilesDamageConcernsAndTheOthersCanBeRestored) {
    const std::string pack = pack_of(newer_one, "third.bin");
    files.flip_bit(pack, files.bytes_of(pack).size() / 2);
    EXPECT_TRUE(verify(false).intact()) << "content that was not read";

    const VerifyReport report = verify(true);
    EXPECT_THAT(damaged(report), ElementsAre(pack));
    EXPECT_THAT(report.affected_snapshots, ElementsAre(newer_one.id));
    EXPECT_EQ(affected(report, newer_one.id), std::set<std::string>{files.path_in_snapshot("third.bin")});

    const TreeRestoreResult others =
        files.restore(newer_one, {"small", "first.bin", "second.bin", "large.bin"}, "others");
    EXPECT_EQ(others.failed, 0U);
    for (const char* path : {"small/a.txt", "small/b.txt", "first.bin", "second.bin", "large.bin"}) {
        EXPECT_TRUE(files.restored_right(path, "others")) << path;
    }
    const TreeRestoreResult third = files.restore(newer_one, {"third.bin"}, "third");
    EXPECT_EQ(third.failed, 1U);
    ASSERT_EQ(third.problems.size(), 1U);
    EXPECT_THAT(third.problems[0].what, HasSubstr(pack));
    EXPECT_FALSE(files.restored_right("third.bin", "third"));
}

TEST_F(VerifyTest, TellsOfALargeFileWhosePackIsGone) {
    const std::string pack = pack_of(older, "large.bin");
    files.store->remove(pack, {});
    const VerifyReport report = verify(false);
    EXPECT_THAT(damaged(report), ElementsAre(pack));
    EXPECT_THAT(report.affected_snapshots, ElementsAre(newer_one.id, older.id));
    for (const Snapshot& snapshot : {older, newer_one}) {
        EXPECT_EQ(affected(report, snapshot.id), std::set<std::string>{files.path_in_snapshot("large.bin")});
    }
    EXPECT_EQ(files.restore(older, {"large.bin"}, "large").failed, 1U);
    EXPECT_EQ(files.restore(older, {"first.bin", "second.bin"}, "rest").failed, 0U);
}

TEST_F(VerifyTest, ListsNoMorePathsThanAskedFor) {
    for (const std::string& name : files.names("packs/d")) files.store->remove(name, {});
    VerifySettings settings;
    settings.most_paths = 2;
    const VerifyReport report = verify(false, settings);
    EXPECT_EQ(report.affected_paths.size(), 2U);
    EXPECT_TRUE(report.more_affected_paths);
    EXPECT_EQ(report.affected_snapshots.size(), 2U);
}

TEST_F(VerifyTest, WalksOnlyTheSnapshotsAskedFor) {
    const std::string pack = pack_of(newer_one, "third.bin");
    files.store->remove(pack, {});
    VerifySettings settings;
    settings.snapshots = {older.id};
    const VerifyReport report = verify(false, settings);
    EXPECT_TRUE(report.intact()) << "the older one does not need it";
    EXPECT_THAT(report.snapshots, ElementsAre(older.id));
    settings.snapshots = {RunId{}};
    EXPECT_THROW(verify(false, settings), Error);
}

// Files that share a pack, of which one dies: a collection copies what lives to another pack.
TEST(VerifyMovedTest, FollowsWhatACollectionMoved) {
    test::DocumentRepository files;
    const Snapshot newest = files.move_a_file(16u << 20);
    Progress progress;
    const std::vector<std::string> moved = files.names("moved/");
    ASSERT_FALSE(moved.empty());

    const auto verify = [&] {
        files.reopen();
        return verify_repository(*files.repository, {.read_data = true}, progress, {});
    };
    const VerifyReport intact = verify();
    EXPECT_TRUE(intact.intact()) << (intact.damages.empty() ? "" : intact.damages[0].what);
    EXPECT_EQ(intact.orphan_packs, 0U);
    EXPECT_EQ(intact.frames_opened, intact.frames);
    EXPECT_EQ(files.restore(newest, {"lives.bin"}, "after").failed, 0U);
    EXPECT_TRUE(files.restored_right("lives.bin", "after"));
    for (const std::string& name : moved) {
        const Bytes bytes = files.bytes_of(name);
        for (const std::size_t position : {bytes.size() / 2, bytes.size() - 1}) {
            files.flip_bit(name, position);
            const VerifyReport report = verify();
            ASSERT_EQ(report.damages.size(), 1U) << position;
            EXPECT_EQ(report.damages[0].object, name);
            files.store->corrupt(name, bytes);
        }
    }
    // The pack that holds it now.
    const std::string holder = files.names("packs/d").front();
    files.flip_bit(holder, files.bytes_of(holder).size() / 2);
    const VerifyReport report = verify();
    ASSERT_EQ(report.damages.size(), 1U);
    EXPECT_EQ(report.damages[0].object, holder);
    ASSERT_EQ(report.affected_paths.size(), 1U);
    EXPECT_EQ(report.affected_paths[0].path, files.path_in_snapshot("lives.bin"));
}

} // namespace
} // namespace holdfast
