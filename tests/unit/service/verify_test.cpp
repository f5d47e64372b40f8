// Objects that are damaged, exchanged or gone, and what is reported of them.
#include "base/error.h"
#include "repository/protocol/statement.h"
#include "unit/service/verify_fixture.h"

#include <cmath>

#include <gmock/gmock.h>

namespace holdfast {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::UnorderedElementsAre;

TEST_F(VerifyTest, FindsNothingInAnIntactRepository) {
    const VerifyReport structure = verify(false);
    EXPECT_THAT(damaged(structure), IsEmpty());
    EXPECT_THAT(structure.unchecked, IsEmpty());
    EXPECT_THAT(structure.snapshots, UnorderedElementsAre(older.id, newer_one.id));
    EXPECT_EQ(structure.content, ContentCheck::none);
    EXPECT_EQ(structure.bytes_read, 0U);
    EXPECT_EQ(structure.packs, files.names("packs/").size());
    EXPECT_EQ(structure.index_segments, files.names("index/").size());
    EXPECT_GT(structure.index_entries, 0U);
    EXPECT_GT(structure.nodes, 5U);
    EXPECT_GT(structure.frames, 10U);
    EXPECT_EQ(structure.orphan_packs, 0U);

    const VerifyReport content = verify(true);
    EXPECT_THAT(damaged(content), IsEmpty());
    EXPECT_EQ(content.content, ContentCheck::decrypted);
    EXPECT_EQ(content.packs_read, content.packs);
    EXPECT_EQ(content.bytes_read, content.pack_bytes);
    EXPECT_EQ(content.frames_opened, content.frames);
    EXPECT_GT(content.raw_bytes, 17u << 20);
    EXPECT_GT(content.blobs_identified, 0U);
    EXPECT_EQ(content.files_checked, 6U);
}

TEST_F(VerifyTest, NamesTheOneObjectOfWhichABitIsWrong) {
    for (const std::string& name : files.names("")) {
        const Bytes intact = files.bytes_of(name);
        for (const std::size_t position :
             {std::size_t{3}, std::size_t{40}, intact.size() / 2, intact.size() - 1}) {
            files.flip_bit(name, position);
            Progress progress;
            const VerifyReport report =
                verify_repository(*files.repository, {.read_data = true}, progress, {});
            EXPECT_THAT(damaged(report), ElementsAre(name)) << "byte " << position << " of " << intact.size();
            files.store->corrupt(name, intact);
            files.repository = files.open(files.passphrase());
        }
    }
}

TEST_F(VerifyTest, NamesTheOneObjectThatWasCut) {
    for (const std::string& name : files.names("")) {
        const Bytes intact = files.bytes_of(name);
        for (const std::size_t size : {std::size_t{0}, intact.size() / 2, intact.size() - 1}) {
            files.store->corrupt(name,
                                 Bytes(intact.begin(), intact.begin() + static_cast<std::ptrdiff_t>(size)));
            Progress progress;
            const VerifyReport report =
                verify_repository(*files.repository, {.read_data = false}, progress, {});
            EXPECT_THAT(damaged(report), ElementsAre(name)) << size << " bytes left";
            files.store->corrupt(name, intact);
            files.repository = files.open(files.passphrase());
        }
    }
}

TEST_F(VerifyTest, NamesThePackThatIsGone) {
    for (const std::string& name : files.names("packs/")) {
        const Bytes intact = files.bytes_of(name);
        files.store->remove(name, {});
        const VerifyReport report = verify(false);
        EXPECT_THAT(damaged(report), ElementsAre(name));
        EXPECT_FALSE(report.affected_snapshots.empty()) << name;
        EXPECT_FALSE(report.affected_paths.empty()) << name;
        files.store->put(name, intact);
    }
    EXPECT_TRUE(verify(true).intact());
}

TEST_F(VerifyTest, NamesACommitThatIsGoneByTheOneThatFollowedIt) {
    files.store->remove(commit_name(older.id), {});
    EXPECT_THAT(damaged(verify(false)), ElementsAre(commit_name(older.id)));
}

TEST_F(VerifyTest, ASnapshotThatWasForgottenIsNotMissed) {
    forget_snapshot(files.repository->context(), older.id, false);
    files.store->remove(commit_name(older.id), {});
    EXPECT_TRUE(verify(true).intact());
}

TEST_F(VerifyTest, MissingIndexSegmentsAreNamedAndNoSnapshotIsAffected) {
    const std::vector<std::string> segments = files.names("index/");
    for (const std::string& name : segments) files.store->remove(name, {});
    const VerifyReport report = verify(true);
    EXPECT_THAT(damaged(report), testing::UnorderedElementsAreArray(segments));
    EXPECT_THAT(report.affected_snapshots, IsEmpty());
    EXPECT_EQ(report.index_segments, 0U);
}

TEST_F(VerifyTest, NamesBothObjectsThatWereSwapped) {
    for (const std::string prefix : {"packs/d", "commits/", "index/", "intents/"}) {
        const std::vector<std::string> names = files.names(prefix);
        ASSERT_GE(names.size(), 2U) << prefix;
        const Bytes first = files.bytes_of(names[0]);
        const Bytes second = files.bytes_of(names[1]);
        files.store->corrupt(names[0], second);
        files.store->corrupt(names[1], first);
        EXPECT_THAT(damaged(verify(false)), ElementsAre(names[0], names[1])) << prefix;
        files.store->corrupt(names[0], first);
        files.store->corrupt(names[1], second);
    }
}

TEST_F(VerifyTest, NamesAnOlderObjectThatWasPutUnderANewerName) {
    const auto replay = [&](const std::string& from, const std::string& to) {
        const Bytes intact = files.bytes_of(to);
        files.store->corrupt(to, files.bytes_of(from));
        EXPECT_THAT(damaged(verify(false)), ElementsAre(to));
        files.store->corrupt(to, intact);
    };
    replay(commit_name(older.id), commit_name(newer_one.id));
    replay(pack_of(older, "first.bin"), pack_of(newer_one, "third.bin"));
    const std::string segment = index_segment_name(domain_id("default"), older.id, 0);
    replay(segment, index_segment_name(domain_id("default"), newer_one.id, 0));

    // A name that was never used is no better.
    const std::string second_beat = intent_name(older.id, 1);
    files.store->put(second_beat, files.bytes_of(intent_name(older.id, 0)));
    EXPECT_THAT(damaged(verify(false)), ElementsAre(second_beat));
}

TEST_F(VerifyTest, ReadsThePartOfThePacksThatWasAskedFor) {
    VerifySettings settings;
    settings.sample_part = 0.25;
    const VerifyReport report = verify(true, settings);
    EXPECT_EQ(report.packs_read,
              static_cast<std::uint64_t>(std::ceil(0.25 * static_cast<double>(report.packs))));
    EXPECT_TRUE(report.intact());
    settings.sample_part = 0;
    EXPECT_THROW(verify(true, settings), Error);
}

TEST_F(VerifyTest, CountsPacksThatNoSnapshotNeeds) {
    forget_snapshot(files.repository->context(), newer_one.id, true);
    const VerifyReport report = verify(false);
    EXPECT_TRUE(report.intact());
    EXPECT_GT(report.orphan_packs, 0U);
    EXPECT_GT(report.orphan_bytes, 1'200'000U) << "the third file";
}

TEST_F(VerifyTest, SaysOfEachSnapshotHowItCameOut) {
    const std::string pack = pack_of(newer_one, "third.bin");
    files.flip_bit(pack, files.bytes_of(pack).size() / 2);
    VerifySettings settings;
    settings.read_data = true;
    const VerifyReport report = verify(true);
    record_verification(*files.repository, settings, report);
    const std::vector<Statement> statements = list_statements(files.repository->context()).statements;
    const Standing good = standing_of(older, statements);
    const Standing bad = standing_of(newer_one, statements);
    ASSERT_EQ(good.verifications.size(), 1U);
    ASSERT_EQ(bad.verifications.size(), 1U);
    EXPECT_EQ(good.verifications[0].name, "content");
    EXPECT_EQ(good.verifications[0].value, "intact");
    EXPECT_EQ(bad.verifications[0].value, "damaged");
}

// An index whose child does not begin with the name it says: every node hashes right, and no decoder can
// tell.
TEST_F(VerifyTest, FindsATreeOfTheWrongShape) {
    Snapshot snapshot;
    {
        BackupRunSettings settings;
        settings.source = "broken";
        settings.beat_interval = Duration::zero();
        BackupRun run(*files.repository, settings, {});
        DirectoryIndexBuilder index;
        for (const std::string name : {"a", "m"}) {
            DirectoryLeafBuilder leaf;
            TreeEntry entry;
            entry.name = name == "m" ? "n" : name;
            entry.type = EntryType::fifo;
            leaf.add(entry);
            index.add({name, run.writer().put_node(leaf.finish())});
        }
        const NodeRef root = run.writer().put_node(index.finish());
        snapshot = run.commit(root, {}, SnapshotState::complete).snapshot;
    }
    const VerifyReport report = verify(true);
    EXPECT_THAT(damaged(report), ElementsAre(snapshot.root.location.frame.pack.name()));
    EXPECT_THAT(report.damages[0].what, HasSubstr("first name"));
    EXPECT_THAT(report.affected_snapshots, ElementsAre(snapshot.id));
}

TEST_F(VerifyTest, StopsWhenAskedTo) {
    std::stop_source source;
    source.request_stop();
    Progress progress;
    try {
        verify_repository(*files.repository, {}, progress, source.get_token());
        FAIL() << "it went on";
    } catch (const Error& error) {
        EXPECT_EQ(error.code(), ErrorCode::cancelled);
    }
}

} // namespace
} // namespace holdfast
