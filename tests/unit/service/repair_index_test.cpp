#include "base/error.h"
#include "repository/protocol/collector.h"
#include "repository/protocol/run_intent.h"
#include "service/repair_index.h"
#include "service/verify.h"
#include "support/document_repository.h"

#include <gmock/gmock.h>

namespace holdfast {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

class RepairIndexTest : public testing::Test {
  protected:
    void SetUp() override {
        files.write_file("first.bin", 1'500'000, 1);
        files.write_file("second.bin", 700'000, 2);
        files.back_up();
        files.reopen();
    }
    RepairReport repair() {
        files.reopen();
        Progress progress;
        return repair_index(*files.repository, progress, {});
    }
    std::uint64_t index_entries() {
        files.reopen();
        Progress progress;
        const VerifyReport report = verify_repository(*files.repository, {}, progress, {});
        EXPECT_TRUE(report.intact());
        EXPECT_EQ(report.index_packs_gone, 0U);
        return report.index_entries;
    }
    // What a backup of the same files under another name stores, apart from its own tree.
    std::uint64_t new_bytes_of_another_backup() {
        files.reopen();
        return files.back_up("another").totals.new_bytes;
    }

    test::DocumentRepository files;
};

TEST_F(RepairIndexTest, MakesALostIndexAnew) {
    const std::uint64_t entries = index_entries();
    ASSERT_GT(entries, 0U);
    for (const std::string& name : files.names("index/")) files.store->remove(name, {});
    const RepairReport report = repair();
    EXPECT_EQ(report.packs, files.names("packs/").size());
    EXPECT_EQ(report.unreadable_packs, 0U);
    EXPECT_EQ(report.blobs, entries);
    EXPECT_EQ(report.new_segments, 1U);
    EXPECT_EQ(index_entries(), entries);
    EXPECT_EQ(new_bytes_of_another_backup(), 0U) << "every blob is found again";
}

TEST_F(RepairIndexTest, AStoppedOneLeavesNothingToWaitFor) {
    const std::vector<std::string> intents = files.names("intents/");
    std::stop_source stop;
    stop.request_stop();
    Progress progress;
    try {
        repair_index(*files.repository, progress, stop.get_token());
        ADD_FAILURE() << "it was not stopped";
    } catch (const Error& error) {
        EXPECT_EQ(error.code(), ErrorCode::cancelled);
    }
    EXPECT_EQ(files.names("intents/"), intents);
}

TEST_F(RepairIndexTest, WithoutAnIndexBlobsAreStoredAgain) {
    for (const std::string& name : files.names("index/")) files.store->remove(name, {});
    EXPECT_EQ(new_bytes_of_another_backup(), 2'200'000U) << "otherwise the test above proves nothing";
}

TEST_F(RepairIndexTest, ReplacesWhatWasThereAndRemovesWhatIsDamaged) {
    files.write_file("third.bin", 600'000, 3);
    files.back_up();
    const std::uint64_t entries = index_entries();
    const std::vector<std::string> old = files.names("index/");
    ASSERT_EQ(old.size(), 2U);
    files.flip_bit(old[0], files.bytes_of(old[0]).size() / 2);
    const RepairReport report = repair();
    EXPECT_THAT(report.damaged_segments, ElementsAre(old[0]));
    EXPECT_EQ(report.removed_segments, 2U);
    EXPECT_EQ(files.names("index/").size(), 1U);
    EXPECT_EQ(index_entries(), entries);
    EXPECT_EQ(repair().blobs, entries) << "once more changes nothing";
}

TEST_F(RepairIndexTest, KeepsIntactSegmentsWhenAPackCannotBeRead) {
    files.write_file("third.bin", 600'000, 3);
    files.back_up();
    const std::vector<std::string> old = files.names("index/");
    ASSERT_EQ(old.size(), 2U);
    files.flip_bit(old[0], files.bytes_of(old[0]).size() - 1);
    const std::string pack = files.names("packs/d").front();
    files.flip_bit(pack, files.bytes_of(pack).size() - 110); // in its tail
    const RepairReport report = repair();
    EXPECT_EQ(report.unreadable_packs, 1U);
    EXPECT_THAT(report.damaged_segments, ElementsAre(old[0]));
    EXPECT_EQ(report.removed_segments, 1U);
    const std::vector<std::string> now = files.names("index/");
    EXPECT_THAT(now, testing::Contains(old[1]));
    EXPECT_EQ(now.size(), 2U);
}

TEST_F(RepairIndexTest, CollectorsNeitherWaitForItNorTakeItsSegments) {
    const std::vector<std::string> intents = files.names("intents/");
    repair();
    EXPECT_EQ(files.names("intents/"), intents) << "its own it takes back";
    const std::vector<std::string> segments = files.names("index/");
    CollectorSettings settings;
    settings.beat_interval = Duration::zero();
    Progress progress;
    const CollectorReport report = collect_garbage(files.repository->context(), settings, progress);
    EXPECT_FALSE(report.postponed);
    EXPECT_THAT(report.waited_for, IsEmpty());
    EXPECT_EQ(report.deleted_packs, 0U);
    EXPECT_EQ(files.names("index/"), segments);
    EXPECT_THAT(files.names("intents/"), IsEmpty()) << "those of ended runs go";
    EXPECT_EQ(new_bytes_of_another_backup(), 0U);
}

TEST_F(RepairIndexTest, AHolderWhoMayOnlyReadIsRefused) {
    const Credential credential = files.add_slot(Role::read);
    const std::vector<std::string> before = files.names("");
    const auto reader = files.open(credential);
    Progress progress;
    EXPECT_EQ(code_of([&] { repair_index(*reader, progress, {}); }), ErrorCode::access_denied);
    EXPECT_EQ(files.names(""), before);
}

// Of files that share a pack one dies, and a collection copies what lives to another pack.
class LostMovesTest : public testing::Test {
  protected:
    LostMovesTest() { moved = files.names("moved/"); }
    VerifyReport verify() {
        files.reopen();
        return verify_repository(*files.repository, {.read_data = true}, progress, {});
    }
    CollectorReport collect() {
        files.reopen();
        return collect_garbage(files.repository->context(), {}, progress, {});
    }
    RepairReport repair() {
        files.reopen();
        return repair_index(*files.repository, progress, {});
    }
    void expect_restored(const char* to) {
        files.reopen();
        EXPECT_EQ(files.restore(newest, {"lives.bin"}, to).failed, 0U);
        EXPECT_TRUE(files.restored_right("lives.bin", to));
    }

    test::DocumentRepository files;
    const Snapshot newest = files.move_a_file(16u << 20);
    std::vector<std::string> moved;
    Progress progress;
};

TEST_F(LostMovesTest, AreNamedAndFoundAgain) {
    ASSERT_FALSE(moved.empty());
    for (const std::string& name : moved) files.store->remove(name, {});
    const VerifyReport lost = verify();
    ASSERT_EQ(lost.damages.size(), 1U);
    EXPECT_EQ(lost.damages[0].object, moved.front());
    EXPECT_THAT(lost.damages[0].hint, testing::HasSubstr("repair index"));
    EXPECT_EQ(lost.orphan_packs, 0U) << "it holds what is needed";
    EXPECT_EQ(repair().moves, moved);
    EXPECT_TRUE(verify().intact());
    expect_restored("after");
    EXPECT_THAT(repair().moves, IsEmpty());
}

TEST_F(LostMovesTest, ADamagedOneIsMadeAnew) {
    const Bytes bytes = files.bytes_of(moved.front());
    Bytes other = bytes;
    other[bytes.size() / 3] ^= 0x55;
    other.resize(bytes.size() / 2);
    files.store->corrupt(moved.front(), other);
    EXPECT_EQ(repair().moves, moved);
    EXPECT_TRUE(verify().intact());
    expect_restored("after");
}

// With the verdict gone as well, nothing but the pack itself says whose frames it has.
TEST_F(LostMovesTest, TheOnlyCopyIsNotCollected) {
    for (const char* prefix : {"moved/", "verdicts/"})
        for (const std::string& name : files.names(prefix)) files.store->remove(name, {});
    const std::vector<std::string> packs = files.names("packs/");
    const CollectorReport report = collect();
    EXPECT_EQ(report.deleted_packs, 0U);
    ASSERT_EQ(report.problems.size(), 1U);
    EXPECT_THAT(report.problems[0], testing::HasSubstr("repair index"));
    EXPECT_EQ(files.names("packs/"), packs);
    EXPECT_EQ(repair().moves, moved);
    expect_restored("after");
    EXPECT_THAT(collect().problems, IsEmpty()) << "and the next one finds them where the note says";
}

} // namespace
} // namespace holdfast
