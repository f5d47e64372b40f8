// Files put together and compared with their digests and signatures.
#include "base/error.h"
#include "store/fault_store.h"
#include "unit/service/verify_fixture.h"

#include <fmt/format.h>
#include <gmock/gmock.h>

namespace holdfast {
namespace {

using testing::AnyOf;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::IsSupersetOf;
using testing::Not;
using testing::UnorderedElementsAre;
using testing::UnorderedElementsAreArray;

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

// A store that fails while files are put together, after all packs were read and found right.
TEST_F(VerifyTest, AFileThatCannotBeReadHidesNoOtherAndBlamesThePackItLiesIn) {
    const auto faulty = std::make_shared<FaultStore>(files.store);
    Repository repository(faulty, unlock(*faulty, files.passphrase()),
                          LocalDirectories{files.scratch.file("faulty cache"), files.scratch.path().string()},
                          system_clock(), files.random, silent_logger());
    // The large file may have bytes in these, too.
    const std::vector<std::string> packs = {pack_of(newer_one, "first.bin"),
                                            pack_of(newer_one, "second.bin")};
    for (const std::string& pack : packs) {
        // Once whole, then its end and its beginning; what fails is the reading of frames.
        Fault fault{.verb = StoreVerb::get, .name_prefix = pack, .skip = 3, .times = 1000};
        fault.error = Error(ErrorCode::io, "the disk fails");
        faulty->plan(fault);
    }
    Progress progress;
    const VerifyReport report =
        verify_repository(repository, {.read_data = true, .compare_files = true}, progress, {});
    EXPECT_THAT(faulty->unfired(), IsEmpty());
    EXPECT_THAT(damaged(report), UnorderedElementsAreArray(packs));
    for (const Damage& damage : report.damages) EXPECT_THAT(damage.what, HasSubstr("the disk fails"));
    const std::set<std::string> paths = affected(report, newer_one.id);
    EXPECT_THAT(paths,
                IsSupersetOf({files.path_in_snapshot("first.bin"), files.path_in_snapshot("second.bin")}));
    EXPECT_THAT(paths, Not(Contains(files.path_in_snapshot("third.bin"))));
    // All others of seven, but for the large one when its signatures alone lie there: a restore does not read
    // those.
    EXPECT_THAT(report.files_checked, AnyOf(7U - paths.size(), 6U - paths.size()))
        << fmt::format("{}", fmt::join(paths, "\n"));
}

TEST(VerifyMovedFilesTest, OfSeveralPacksThatAFileWasMovedToTheOneThatFailsIsBlamed) {
    test::DocumentRepository files;
    files.move_a_file(1u << 20);
    Progress progress;
    const std::vector<std::string> holders = files.names("packs/d");
    ASSERT_GT(holders.size(), 1U);
    for (const std::string& holder : holders) {
        const auto faulty = std::make_shared<FaultStore>(files.store);
        Repository repository(
            faulty, unlock(*faulty, files.passphrase()),
            LocalDirectories{files.scratch.file("faulty cache"), files.scratch.path().string()},
            system_clock(), files.random, silent_logger());
        // Once whole, then its end and its beginning; what fails is the reading of frames.
        Fault fault{.verb = StoreVerb::get, .name_prefix = holder, .skip = 3, .times = 1000};
        fault.error = Error(ErrorCode::io, "the disk fails");
        faulty->plan(fault);
        const VerifyReport report =
            verify_repository(repository, {.read_data = true, .compare_files = true}, progress, {});
        EXPECT_THAT(faulty->unfired(), IsEmpty());
        ASSERT_EQ(report.damages.size(), 1U) << holder;
        EXPECT_EQ(report.damages[0].object, holder);
    }
}

// Without them there is nothing to compare the pages with; but a restore does not read them.
TEST_F(VerifyTest, SignaturesThatCannotBeReadHideNoOtherFile) {
    NodeReader& nodes = files.repository->nodes();
    const auto entry_of = [&](const std::string& path) {
        return find_path(nodes, newer_one.root, files.path_in_snapshot(path)).value();
    };
    const TreeEntry pages = entry_of("large.bin");
    BackupRunSettings settings;
    settings.beat_interval = Duration::zero();
    std::vector<Segment> segments =
        decode_segment_group(nodes.read(std::get<SegmentGroups>(pages.content).at(0)));
    std::string pack;
    {
        settings.source = "signatures";
        BackupRun run(*files.repository, settings, {});
        std::vector<PageSignature> signatures = decode_signatures(nodes.read(segments.at(0).signatures));
        signatures.at(0).bytes[0] ^= 1;
        segments[0].signatures = run.writer().put_node(encode_signatures(signatures));
        pack = segments[0].signatures.location.frame.pack.name();
        run.commit(run.writer().put_node(DirectoryLeafBuilder().finish()), {}, SnapshotState::complete);
    }
    Snapshot snapshot;
    {
        settings.source = "files";
        BackupRun run(*files.repository, settings, {});
        DirectoryLeafBuilder leaf;
        TreeEntry entry = pages;
        entry.name = "1 large";
        entry.content = SegmentGroups{run.writer().put_node(encode_segment_group(segments))};
        leaf.add(entry);
        entry = entry_of("first.bin");
        entry.name = "2 wrong";
        entry.digest.bytes[0] ^= 1;
        leaf.add(entry);
        snapshot = run.commit(run.writer().put_node(leaf.finish()), {}, SnapshotState::complete).snapshot;
    }
    files.flip_bit(pack, files.bytes_of(pack).size() / 2);
    const VerifyReport report = verify(true);
    EXPECT_THAT(damaged(report), Contains(pack));
    EXPECT_EQ(affected(report, snapshot.id), std::set<std::string>{"2 wrong"});
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

} // namespace
} // namespace holdfast
