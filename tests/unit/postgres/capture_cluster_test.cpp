// Captures of directories in the shape of a data directory.

#include "cluster_fixture.h"

#include <sys/socket.h>
#include <sys/un.h>

namespace holdfast::postgres {
namespace {

using test::block_bytes;
using test::ClusterTest;
using test::page_of_relation;
using test::SaidChanges;

namespace fs = std::filesystem;
using What = SegmentChanges::What;

class CaptureClusterTest : public ClusterTest {};

TEST_F(CaptureClusterTest, TakesWhatABaseBackupTakes) {
    write("postmaster.pid", "1");
    write("postmaster.opts", "x");
    write("backup_label.old", "x");
    write("pg_wal/000000010000000000000001", "x");
    write("pg_replslot/one/state", "x");
    write("pg_stat_tmp/global.stat", "x");
    write("pg_subtrans/0000", "x");
    write("pg_xact/0000", "x");
    write("base/pgsql_tmp/pgsql_tmp1.0", "x");
    write("base/5/pg_internal.init", "x");
    write("base/5/t3_1001", "x");
    write("base/5/3000", relation(9, 1)); // unlogged
    write("base/5/3000_fsm", relation(9, 1));
    write("base/5/3000.1", relation(9, 1));
    write("base/5/3000_init", relation(9, 1));
    write("base/5/30000", relation(9, 1)); // not
    write("user/file", "kept");
    fs::create_symlink("/etc/ssl/key.pem", data() / "server.key");

    const Captured captured = capture();
    EXPECT_EQ(paths(captured.snapshot.root), (std::set<std::string>{"data/",
                                                                    "data/PG_VERSION",
                                                                    "data/base/",
                                                                    "data/base/5/",
                                                                    "data/base/5/1000",
                                                                    "data/base/5/1000_fsm",
                                                                    "data/base/5/1000_vm",
                                                                    "data/base/5/2000",
                                                                    "data/base/5/2001",
                                                                    "data/base/5/30000",
                                                                    "data/base/5/3000_init",
                                                                    "data/global/",
                                                                    "data/global/1260",
                                                                    "data/global/pg_control",
                                                                    "data/global/pg_filenode.map",
                                                                    "data/pg_replslot/",
                                                                    "data/pg_stat_tmp/",
                                                                    "data/pg_subtrans/",
                                                                    "data/pg_tblspc/",
                                                                    "data/pg_wal/",
                                                                    "data/pg_wal/archive_status/",
                                                                    "data/pg_xact/",
                                                                    "data/pg_xact/0000",
                                                                    "data/postgresql.conf",
                                                                    "data/server.key",
                                                                    "data/user/",
                                                                    "data/user/file",
                                                                    "holdfast/"}));
    EXPECT_EQ(difference(captured), "data/server.key") << "a link is no file";
    EXPECT_EQ(entry(captured, "data/server.key")->target, "/etc/ssl/key.pem");
    EXPECT_EQ(captured.capture.totals.failed, 0U);
    EXPECT_EQ(captured.capture.pages.bad_pages, 0U);
    EXPECT_TRUE(captured.capture.pages.unsettled.empty());
    EXPECT_EQ(captured.capture.control.block_bytes, block_bytes);
    EXPECT_EQ(entry(captured, "data")->mode, static_cast<unsigned>(fs::status(data()).permissions()));
    EXPECT_EQ(entry(captured, "data")->files, captured.capture.totals.files);
}

TEST_F(CaptureClusterTest, ReadsNothingOfRelationsThatHaveNotChanged) {
    const Captured first = capture();
    EXPECT_EQ(difference(first), "");
    const std::uint64_t before = files_.bytes_read("base/5/1000");
    EXPECT_EQ(before, 2500 * block_bytes);
    const SaidChanges nothing;
    const Captured second = capture(request_with(nothing, first));
    EXPECT_EQ(second.capture.everything_read_because, "");
    EXPECT_EQ(files_.bytes_read("base/5/1000"), before);
    EXPECT_EQ(files_.bytes_read("base/5/2000"), 120 * block_bytes);
    EXPECT_EQ(files_.bytes_read("base/5/1000_fsm"), 2 * 3 * block_bytes) << "maps are read whole";
    EXPECT_EQ(second.new_bytes, 0U);
    EXPECT_EQ(second.capture.totals.unchanged_files, 4U);
    EXPECT_EQ(difference(second), "");
    EXPECT_EQ(entry(second, "data/base/5/1000")->content, entry(first, "data/base/5/1000")->content);
}

TEST_F(CaptureClusterTest, ReadsTheBlocksThatHaveChanged) {
    const Captured first = capture();
    for (const std::uint32_t block : {7U, 8U, 1200U, 2499U})
        write_block("base/5/1000", block, page_of_relation(77 + block, block));
    write_block("base/5/2000", 5, page_of_relation(78, 5));
    SaidChanges changes;
    changes.changes[large] = {What::some, {{7, 2}, {1200, 1}, {2499, 1}}};
    changes.changes[medium] = {What::some, {{5, 1}}};
    const std::uint64_t before = files_.bytes_read("base/5/1000");
    const Captured second = capture(request_with(changes, first));
    EXPECT_EQ(files_.bytes_read("base/5/1000") - before, 4 * block_bytes);
    EXPECT_EQ(files_.bytes_read("base/5/2000"), 2 * 120 * block_bytes) << "small files are read whole";
    EXPECT_EQ(second.capture.files_without_map, 0U);
    EXPECT_EQ(difference(second), "");

    // A full read finds the same file.
    const Captured third = capture();
    EXPECT_EQ(entry(third, "data/base/5/1000")->digest, entry(second, "data/base/5/1000")->digest);
    EXPECT_EQ(third.new_bytes, 0U);
}

TEST_F(CaptureClusterTest, GrownAndTruncatedRelations) {
    const Captured first = capture();
    const Bytes more = relation(20, 300, 2500);
    std::ofstream(data() / "base/5/1000", std::ios::binary | std::ios::app) << as_text(more);
    fs::resize_file(data() / "base/5/2000", 50 * block_bytes);
    const SaidChanges nothing;
    std::uint64_t before = files_.bytes_read("base/5/1000");
    const Captured grown = capture(request_with(nothing, first));
    EXPECT_EQ(files_.bytes_read("base/5/1000") - before, 300 * block_bytes);
    EXPECT_EQ(difference(grown), "");

    fs::resize_file(data() / "base/5/1000", 2200 * block_bytes);
    before = files_.bytes_read("base/5/1000");
    const Captured shorter = capture(request_with(nothing, grown));
    EXPECT_EQ(files_.bytes_read("base/5/1000"), before);
    EXPECT_EQ(difference(shorter), "");
}

TEST_F(CaptureClusterTest, ChangesSinceAnotherSnapshotAreNotUsed) {
    const Captured first = capture();
    const SaidChanges nothing;
    write_block("base/5/1000", 9, page_of_relation(99, 9));
    ClusterCaptureRequest wanted = request_with(nothing, first);
    wanted.changes_since->bytes[0] ^= 1;
    const Captured second = capture(wanted);
    EXPECT_NE(second.capture.everything_read_because, "");
    EXPECT_EQ(difference(second), "");
}

TEST_F(CaptureClusterTest, ATornPageIsReadAgain) {
    unsigned torn = 0;
    files_.on_read = [&](const std::string& path, std::uint64_t offset, MutableByteView bytes,
                         std::size_t got) {
        const std::uint64_t at = 1300 * block_bytes;
        if (path == "base/5/1000" && torn < 2 && offset <= at && at < offset + got) {
            ++torn;
            bytes[at - offset + 5000] ^= 1;
        }
        return Result<std::size_t>(got);
    };
    const Captured captured = capture();
    EXPECT_EQ(torn, 2U);
    EXPECT_EQ(captured.capture.pages.bad_pages, 0U);
    EXPECT_EQ(difference(captured), "");
}

TEST_F(CaptureClusterTest, ABadPageIsReportedAndTheBackupGoesOn) {
    Bytes bad = page_of_relation(1, 1301);
    bad[6000] ^= 1;
    write_block("base/5/1000", 1301, bad);
    write_block("base/5/2000", 8, page_of_relation(1, 9)); // the page of another block
    Bytes newer = page_of_relation(1, 20, Lsn{0x6000});    // restored by the log
    newer[6000] ^= 1;
    write_block("base/5/2000", 20, newer);
    Bytes future = page_of_relation(1, 21, Lsn{0x100000});
    future[6000] ^= 1;
    write_block("base/5/2000", 21, future);

    Captured captured = capture();
    EXPECT_EQ(difference(captured), "") << "bad pages are kept as they are";
    PageFindings& pages = captured.capture.pages;
    ASSERT_EQ(pages.bad_pages, 2U);
    EXPECT_EQ(pages.bad[0].path, "base/5/1000");
    EXPECT_EQ(pages.bad[0].block, 1301U);
    EXPECT_EQ(pages.bad[0].segment, large);
    EXPECT_NE(pages.bad[0].why, "");
    EXPECT_EQ(pages.bad[1].block, 8U);
    ASSERT_EQ(pages.unsettled.size(), 2U);
    pages.settle(Lsn{0x7000});
    ASSERT_EQ(pages.bad_pages, 3U);
    EXPECT_EQ(pages.bad[2].block, 21U) << "nothing was written there yet";
}

TEST_F(CaptureClusterTest, BlocksOfLaterSegmentsCountFromTheFirst) {
    write("base/5/2000.1", relation(5, 10, 131072));
    EXPECT_EQ(capture().capture.pages.bad_pages, 0U);
}

TEST_F(CaptureClusterTest, FilesThatVanishAreLeftOut) {
    files_.on_open = [](const std::string& path) {
        return path == "base/5/1000" || path == "base/5/2000"
                   ? std::optional(Error(ErrorCode::not_found, "gone"))
                   : std::nullopt;
    };
    const Captured captured = capture();
    EXPECT_EQ(captured.capture.vanished, 2U);
    EXPECT_EQ(captured.capture.totals.failed, 0U);
    EXPECT_FALSE(entry(captured, "data/base/5/1000"));
    EXPECT_FALSE(entry(captured, "data/base/5/2000"));
    EXPECT_EQ(difference(captured), "");
}

TEST_F(CaptureClusterTest, FilesThatShrinkEndThere) {
    files_.on_read = [](const std::string& path, std::uint64_t offset, MutableByteView, std::size_t got) {
        if (!path.starts_with("base/5/")) return Result<std::size_t>(got);
        const std::uint64_t end = path.ends_with("1000") ? 1000 * block_bytes : 60 * block_bytes;
        return Result<std::size_t>(offset >= end ? 0 : std::min<std::uint64_t>(got, end - offset));
    };
    const Captured captured = capture();
    EXPECT_EQ(captured.capture.totals.failed, 0U);
    Bytes whole = content_of(data() / "base/5/1000");
    whole.resize(1000 * block_bytes);
    EXPECT_EQ(stored(captured, "data/base/5/1000"), whole);
    whole = content_of(data() / "base/5/2000");
    whole.resize(60 * block_bytes);
    EXPECT_EQ(stored(captured, "data/base/5/2000"), whole);
}

TEST_F(CaptureClusterTest, AFileThatCannotBeReadIsMissingAndTold) {
    const Captured first = capture();
    files_.on_read = [](const std::string& path, std::uint64_t offset, MutableByteView,
                        std::size_t got) -> Result<std::size_t> {
        if (path == "base/5/1000" && offset >= (5u << 20))
            return std::unexpected(Error(ErrorCode::io, "the disk is broken"));
        return got;
    };
    const Captured captured = capture();
    EXPECT_EQ(captured.capture.totals.failed, 1U);
    ASSERT_EQ(captured.capture.problems.size(), 1U);
    EXPECT_EQ(captured.capture.problems[0].path, "base/5/1000");
    const std::optional<TreeEntry> broken = entry(captured, "data/base/5/1000");
    ASSERT_TRUE(broken);
    EXPECT_EQ(broken->flags & entry_flag::unreadable, entry_flag::unreadable);
    EXPECT_TRUE(std::holds_alternative<std::monostate>(broken->content)) << "not what it was before";

    // The next one reads it, whatever is said to have changed.
    files_.on_read = {};
    const SaidChanges nothing;
    const Captured third = capture(request_with(nothing, captured));
    EXPECT_EQ(difference(third), "");
}

TEST_F(CaptureClusterTest, TheControlFileIsReadLast) {
    const fs::path place = outside("space");
    fs::create_directories(place / "PG_15_202209061/5");
    fs::create_directories(place / "PG_14_202107181/5");
    std::ofstream(place / "PG_15_202209061/5/4000", std::ios::binary) << as_text(relation(6, 4));
    std::ofstream(place / "PG_14_202107181/5/4000", std::ios::binary) << "another cluster's";
    fs::create_directories(data() / "pg_tblspc");
    fs::create_directory_symlink(place, data() / "pg_tblspc/16400");
    files_.on_open = [&](const std::string& path) {
        if (path == "pg_tblspc/16400/PG_15_202209061/5/4000") write("global/pg_control", control_file(15, 3));
        return std::optional<Error>();
    };
    const Captured captured = capture();
    EXPECT_EQ(stored(captured, "data/global/pg_control"), control_file(15, 3));
    EXPECT_EQ(captured.capture.control.checkpoint.next_xid,
              parse_control_file(control_file(15, 3)).checkpoint.next_xid);
    EXPECT_EQ(difference(captured), "");

    ASSERT_EQ(captured.capture.tablespace_links.size(), 1U);
    EXPECT_EQ(captured.capture.tablespace_links[0].oid, 16400U);
    EXPECT_EQ(captured.capture.tablespace_links[0].path, place.string());
    EXPECT_FALSE(entry(captured, "data/pg_tblspc/16400"));
    EXPECT_FALSE(entry(captured, "tablespaces/16400/PG_14_202107181"));
    EXPECT_EQ(stored(captured, "tablespaces/16400/PG_15_202209061/5/4000"), relation(6, 4));
    EXPECT_EQ(captured.capture.tablespaces->files, 1U);
    EXPECT_EQ(captured.capture.pages.bad_pages, 0U);

    // Unread when it has not changed.
    const SaidChanges nothing;
    const std::uint64_t before = files_.bytes_read("pg_tblspc/16400/PG_15_202209061/5/4000");
    const Captured second = capture(request_with(nothing, captured));
    EXPECT_EQ(files_.bytes_read("pg_tblspc/16400/PG_15_202209061/5/4000"), before);
    EXPECT_EQ(stored(second, "tablespaces/16400/PG_15_202209061/5/4000"), relation(6, 4));
}

// A clock whose sleepers find something done when they wake.
class WakingClock final : public Clock {
  public:
    std::function<void()> woken;
    Timestamp now() const override { return system_clock().now(); }
    Duration steady() const override { return system_clock().steady(); }
    bool sleep_for(Duration, std::stop_token stop) override {
        if (woken) woken();
        return !stop.stop_requested();
    }
};

TEST_F(CaptureClusterTest, TheControlFileIsReadAgainUntilItsSumIsRight) {
    Bytes half = control_file(15, 1);
    half[290] ^= 1;
    files_.on_open = [&](const std::string& path) {
        if (path == "postgresql.conf") write("global/pg_control", half);
        return std::optional<Error>();
    };
    WakingClock clock;
    unsigned slept = 0;
    clock.woken = [&] {
        if (++slept == 3) write("global/pg_control", control_file(15, 2));
    };
    ClusterCaptureRequest wanted = request();
    ClusterCaptureRequest with_clock{
        .data_directory = wanted.data_directory, .start = wanted.start, .files = &files_, .clock = &clock};
    const Captured captured = capture(with_clock);
    EXPECT_EQ(slept, 3U);
    EXPECT_EQ(stored(captured, "data/global/pg_control"), control_file(15, 2));
}

TEST_F(CaptureClusterTest, ALinkToTheLogBecomesAnEmptyDirectory) {
    fs::remove_all(data() / "pg_wal");
    fs::create_directories(outside("wal/archive_status"));
    fs::create_directory_symlink(outside("wal"), data() / "pg_wal");
    const Captured captured = capture();
    EXPECT_EQ(captured.capture.wal_link, outside("wal").string());
    EXPECT_EQ(entry(captured, "data/pg_wal")->type, EntryType::directory);
    EXPECT_EQ(entry(captured, "data/pg_wal/archive_status")->type, EntryType::directory);
}

TEST_F(CaptureClusterTest, AnotherClusterAndNoClusterAreRefused) {
    const auto code = [&](const ClusterCaptureRequest& wanted) {
        return holdfast::test::code_of([&] { capture(wanted); });
    };
    ClusterCaptureRequest wanted = request();
    wanted.system_identifier = 1;
    EXPECT_EQ(code(wanted), to_string(ErrorCode::usage));
    wanted = request();
    wanted.data_directory = outside("nothing").string();
    EXPECT_EQ(code(wanted), to_string(ErrorCode::not_found));
}

TEST_F(CaptureClusterTest, AComparisonFindsWhatWasNotNamed) {
    const Captured first = capture();
    write_block("base/5/1000", 7, page_of_relation(100, 7));       // named
    write_block("base/5/1000", 1500, page_of_relation(101, 1500)); // not
    write_block("base/5/2000", 60, page_of_relation(102, 60));     // not, in a file without signatures
    Bytes hinted = content_of(data() / "base/5/2000");
    hinted = Bytes(hinted.begin() + 70 * block_bytes, hinted.begin() + 71 * block_bytes);
    hinted[20] = 9; // pd_prune_xid, a hint
    const std::uint16_t sum = page_checksum(hinted, 70);
    hinted[8] = static_cast<Byte>(sum);
    hinted[9] = static_cast<Byte>(sum >> 8);
    write_block("base/5/2000", 70, hinted);
    write("base/5/1000_fsm", relation(33, 3)); // never named
    SaidChanges changes;
    changes.changes[large] = {What::some, {{7, 1}}};
    ClusterCaptureRequest wanted = request_with(changes, first);
    wanted.compare = true;
    const Captured second = capture(wanted);
    EXPECT_EQ(difference(second), "") << "what was found is in the snapshot";
    ASSERT_EQ(second.capture.unnamed_changes, 2U);
    EXPECT_EQ(second.capture.unnamed[0].segment, large);
    EXPECT_EQ(second.capture.unnamed[0].block, 1500U);
    EXPECT_EQ(second.capture.unnamed[1].segment, medium);
    EXPECT_EQ(second.capture.unnamed[1].block, 60U);
}

TEST_F(CaptureClusterTest, AStoppedCaptureIsGoneOnWith) {
    std::stop_source stop;
    files_.on_read = [&](const std::string& path, std::uint64_t offset, MutableByteView, std::size_t got) {
        if (path == "base/5/2000" && offset == 0) stop.request_stop();
        return Result<std::size_t>(got);
    };
    {
        const std::unique_ptr<BackupRun> run = begin(stop.get_token());
        Progress progress;
        EXPECT_EQ(
            holdfast::test::code_of([&] { capture_cluster(*run, request(), progress, stop.get_token()); }),
            to_string(ErrorCode::cancelled));
    }
    files_.on_read = {};
    const std::unique_ptr<BackupRun> run = begin();
    EXPECT_EQ(run->previous_roots().size(), 1U) << "a checkpoint was left";
    Progress progress;
    const ClusterCapture captured = capture_cluster(*run, request(), progress, {});
    EXPECT_LT(run->writer().totals().new_bytes, 21u << 20) << "what the first one has stored is referred to";
    const NodeRef root = finish_cluster_tree(*run, captured, {}, repository_.clock.now());
    const Captured whole{captured, run->commit(root, captured.totals, SnapshotState::complete).snapshot, 0};
    EXPECT_EQ(difference(whole), "");
}

TEST_F(CaptureClusterTest, AFileOfHolesCostsNothing) {
    write("base/5/5000", relation(8, 1));
    fs::resize_file(data() / "base/5/5000", std::uint64_t{100} << 30);
    const Captured captured = capture();
    EXPECT_EQ(entry(captured, "data/base/5/5000")->size, std::uint64_t{100} << 30);
    EXPECT_LT(files_.bytes_read("base/5/5000"), 1u << 20);
}

TEST_F(CaptureClusterTest, ManySmallFilesComeInOrder) {
    for (unsigned i = 0; i < 400; ++i) write("many/" + std::to_string(i), std::string(i % 700, 'x'));
    const Captured captured = capture();
    EXPECT_EQ(difference(captured), "");
    EXPECT_EQ(captured.capture.totals.files, 400U + 10);
}

TEST_F(CaptureClusterTest, IsHeldToARate) {
    FakeClock clock(from_rfc3339("2026-11-20T10:00:00Z"));
    const Duration before = clock.steady();
    const ClusterCaptureRequest wanted{.data_directory = data().string(),
                                       .start = Lsn{0x5000},
                                       .bytes_per_second = 1u << 20,
                                       .files = &files_,
                                       .clock = &clock};
    const Captured captured = capture(wanted);
    EXPECT_GE(clock.steady() - before, std::chrono::seconds(20));
    EXPECT_EQ(difference(captured), "");
}

TEST_F(CaptureClusterTest, ExtraFilesStandBesideTheData) {
    const std::unique_ptr<BackupRun> run = begin();
    Progress progress;
    const ClusterCapture captured = capture_cluster(*run, request(), progress, {});
    const std::string label = "START WAL LOCATION: 0/2000028\n";
    const std::vector<ExtraFile> extras{{"backup_label", Bytes(label.begin(), label.end())},
                                        {"cluster.json", {}}};
    const NodeRef root = finish_cluster_tree(*run, captured, extras, repository_.clock.now());
    const Captured whole{captured, run->commit(root, captured.totals, SnapshotState::complete).snapshot, 0};
    EXPECT_EQ(as_text(stored(whole, "holdfast/backup_label")), label);
    EXPECT_EQ(entry(whole, "holdfast/cluster.json")->size, 0U);
    EXPECT_EQ(entry(whole, "holdfast")->files, 2U);
}

} // namespace
} // namespace holdfast::postgres
