#include "base/error.h"
#include "repository/content/content_reader.h"
#include "repository/node/directory_cursor.h"
#include "repository/protocol/collector.h"
#include "repository/protocol/statement.h"
#include "service/verify.h"
#include "support/document_repository.h"

#include <algorithm>
#include <cmath>

#include <gmock/gmock.h>

namespace holdfast {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::UnorderedElementsAre;

class VerifyTest : public testing::Test {
  protected:
    // Two snapshots: files of several packs, and one that is large enough for segments.
    void SetUp() override {
        files.write_file("small/a.txt", "one");
        files.write_file("small/b.txt", "two");
        files.write_file("first.bin", 1'500'000, 1);
        files.write_file("second.bin", 1'500'000, 2);
        files.write_file("large.bin", 17u << 20, 3);
        older = files.back_up();
        files.write_file("third.bin", 1'200'000, 4);
        newer_one = files.back_up();
        files.reopen();
    }

    VerifyReport verify(bool read_data, VerifySettings settings = {}) {
        settings.read_data = read_data;
        settings.compare_files = read_data;
        files.reopen();
        Progress progress;
        return verify_repository(*files.repository, settings, progress, {});
    }

    static std::vector<std::string> damaged(const VerifyReport& report) {
        std::vector<std::string> names;
        for (const Damage& damage : report.damages) names.push_back(damage.object);
        return names;
    }
    static std::set<std::string> affected(const VerifyReport& report, const RunId& snapshot) {
        std::set<std::string> paths;
        for (const AffectedPath& path : report.affected_paths) {
            if (path.snapshot == snapshot) paths.insert(path.path);
        }
        return paths;
    }

    // A pack in which bytes of this file lie.
    std::string pack_of(const Snapshot& snapshot, const std::string& path) {
        NodeReader& nodes = files.repository->nodes();
        const auto entry = find_path(nodes, snapshot.root, files.path_in_snapshot(path));
        std::string pack;
        if (entry)
            for_each_extent(nodes, *entry,
                            [&](const Extents& extents) { pack = extents.back().frame.pack.name(); });
        EXPECT_FALSE(pack.empty()) << path;
        return pack;
    }

    test::DocumentRepository files;
    Snapshot older, newer_one;
};

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

TEST_F(VerifyTest, AMissingIndexSegmentIsNoDamage) {
    for (const std::string& name : files.names("index/")) files.store->remove(name, {});
    const VerifyReport report = verify(true);
    EXPECT_TRUE(report.intact());
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

TEST_F(VerifyTest, WithoutContentKeysDigestsAreCompared) {
    const Credential credential = Credential::key_file(key_file_of(5));
    {
        Unlocked admin = unlock(*files.store, files.passphrase());
        KeySlots slots(*files.store, system_clock(), files.random, admin);
        NewSlot slot;
        slot.label = "pruner";
        slot.role = Role::prune;
        slot.credential = &credential;
        slots.add(slot);
    }
    const auto verify_as_pruner = [&] {
        const auto repository = files.open(credential);
        Progress progress;
        return verify_repository(*repository, {.read_data = true}, progress, {});
    };
    const VerifyReport intact = verify_as_pruner();
    EXPECT_THAT(damaged(intact), IsEmpty());
    EXPECT_EQ(intact.content, ContentCheck::digests);
    EXPECT_EQ(intact.packs_read, intact.packs);
    EXPECT_LT(intact.frames_opened, intact.frames);

    const std::string pack = pack_of(newer_one, "third.bin");
    files.flip_bit(pack, files.bytes_of(pack).size() / 2);
    const VerifyReport report = verify_as_pruner();
    EXPECT_THAT(damaged(report), ElementsAre(pack));
    EXPECT_THAT(report.affected_snapshots, ElementsAre(newer_one.id));
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

TEST_F(VerifyTest, CountsPacksThatNoSnapshotNeeds) {
    forget_snapshot(files.repository->context(), newer_one.id, true);
    const VerifyReport report = verify(false);
    EXPECT_TRUE(report.intact());
    EXPECT_GT(report.orphan_packs, 0U);
    EXPECT_GT(report.orphan_bytes, 1'200'000U) << "the third file";
}

// Files that share a pack, of which one dies: a collection copies what lives to another pack.
TEST(VerifyMovedTest, FollowsWhatACollectionMoved) {
    test::DocumentRepository files;
    files.write_file("dies.bin", 5'000'000, 1);
    files.write_file("lives.bin", 5'000'000, 2);
    const Snapshot older = files.back_up("documents", 16u << 20);
    std::filesystem::remove(files.source() / "dies.bin");
    const Snapshot newest = files.back_up("documents", 16u << 20);
    forget_snapshot(files.repository->context(), older.id, false);
    CollectorSettings settings;
    settings.beat_interval = Duration::zero();
    settings.tolerated_dead_part = 0.01;
    Progress progress;
    collect_garbage(files.repository->context(), settings, progress);
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

// Every object, frame, blob and node is right; but the files are not made of what they were made of.
TEST_F(VerifyTest, FindsFilesWhoseContentIsNotWhatTheirDigestSays) {
    files.write_file("chunks.bin", 5'000'000, 5);
    const Snapshot with_chunks = files.back_up();
    NodeReader& nodes = files.repository->nodes();
    const auto entry_of = [&](const std::string& path) {
        return find_path(nodes, with_chunks.root, files.path_in_snapshot(path)).value();
    };
    const TreeEntry blob = entry_of("small/a.txt");
    const TreeEntry chunks = entry_of("chunks.bin");
    const TreeEntry pages = entry_of("large.bin");
    ASSERT_GT(std::get<Extents>(chunks.content).size(), 1U);

    Snapshot snapshot;
    {
        BackupRunSettings settings;
        settings.source = "exchanged";
        settings.beat_interval = Duration::zero();
        BackupRun run(*files.repository, settings, {});
        std::vector<Segment> segments =
            decode_segment_group(nodes.read(std::get<SegmentGroups>(pages.content).at(0)));
        std::vector<Extent> map = decode_map(nodes.read(segments.at(0).map));
        const Extent first = map.at(0);
        ASSERT_GT(first.length, 3 * page_bytes);
        map.erase(map.begin());
        const auto from = [&](std::uint64_t page, std::uint64_t at, std::uint64_t length) {
            return Extent{page * page_bytes, length, first.frame,
                          first.frame_offset + static_cast<std::uint32_t>(at * page_bytes)};
        };
        map.insert(map.begin(), {from(0, 1, page_bytes), from(1, 0, page_bytes),
                                 from(2, 2, first.length - 2 * page_bytes)});
        segments[0].map = run.writer().put_node(encode_map(map));
        const NodeRef swapped = run.writer().put_node(encode_segment_group(segments));

        DirectoryLeafBuilder leaf;
        const auto add = [&](TreeEntry entry, const std::string& name, const FileContent& content) {
            entry.name = name;
            entry.content = content;
            leaf.add(entry);
        };
        add(blob, "blob right", blob.content);
        add(blob, "blob wrong", entry_of("small/b.txt").content);
        add(chunks, "chunks right", chunks.content);
        add(chunks, "chunks wrong", entry_of("second.bin").content);
        TreeEntry other = pages;
        other.digest.bytes[0] ^= 1;
        add(other, "pages of another digest", pages.content);
        add(pages, "pages right", pages.content);
        add(pages, "pages swapped", SegmentGroups{swapped});
        snapshot = run.commit(run.writer().put_node(leaf.finish()), {}, SnapshotState::complete).snapshot;
    }
    EXPECT_TRUE(verify(false).intact());
    const VerifyReport report = verify(true);
    EXPECT_THAT(report.affected_snapshots, ElementsAre(snapshot.id));
    EXPECT_THAT(
        affected(report, snapshot.id),
        UnorderedElementsAre("blob wrong", "chunks wrong", "pages of another digest", "pages swapped"));
    EXPECT_FALSE(report.intact());
    for (const Damage& damage : report.damages) EXPECT_THAT(damage.object, HasSubstr("packs/"));
    EXPECT_EQ(report.files_checked, 7U + 7U - 2U) << "two of them were there already";
}

// Of a file that changes in place the pages that changed are checked in each snapshot, where they lie in an
// overlay.
TEST_F(VerifyTest, ChecksWhatChangedInALargeFile) {
    Bytes bytes(17u << 20);
    SeededRandom(3).fill(bytes);
    for (const std::size_t at : {std::size_t{100'000}, std::size_t{5'000'000}, bytes.size() - 1})
        bytes[at] ^= 1;
    files.write_file("large.bin", as_text(bytes));
    files.back_up();
    bytes.resize((16u << 20) + 12345);
    files.write_file("large.bin", as_text(bytes));
    const Snapshot cut = files.back_up();
    const VerifyReport report = verify(true);
    EXPECT_THAT(damaged(report), IsEmpty()) << report.damages[0].what;
    EXPECT_EQ(report.files_checked, 8U);
    EXPECT_EQ(files.restore(cut, {"large.bin"}, "cut").failed, 0U);
    EXPECT_TRUE(files.restored_right("large.bin", "cut"));
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
