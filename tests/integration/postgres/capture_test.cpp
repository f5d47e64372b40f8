// Captures of real servers under load: written back, started, and every row compared.

#include "documents/restore/tree_restore.h"
#include "postgres/capture/capture_cluster.h"
#include "postgres/server/backup_session.h"
#include "support/content_repository.h"
#include "support/postgres_server.h"
#include "support/temporary_directory.h"

#include <csignal>
#include <filesystem>
#include <fstream>
#include <map>
#include <thread>

#include <gtest/gtest.h>

namespace holdfast::postgres {
namespace {

namespace fs = std::filesystem;
using holdfast::test::ContentRepository;
using holdfast::test::PostgresOptions;
using holdfast::test::PostgresServer;
using holdfast::test::PostgresStop;
using holdfast::test::TemporaryDirectory;

// The blocks that carry a newer log position than `since`: all that has changed since a backup began there
// but for hints. To be made when the server has written out everything, just behind the start of the next
// backup.
class NewerBlocks final : public ChangedBlocks {
  public:
    NewerBlocks(const std::string& data_directory, Lsn since) {
        constexpr auto options = fs::directory_options::follow_directory_symlink;
        std::error_code gone;
        for (auto entry = fs::recursive_directory_iterator(data_directory, options, gone);
             entry != fs::recursive_directory_iterator(); entry.increment(gone)) {
            const DataPath path =
                parse_data_path(fs::path(entry->path()).lexically_relative(data_directory).string());
            if (path.kind != PathKind::relation) continue;
            std::ifstream file(entry->path(), std::ios::binary);
            std::vector<BlockRange>& blocks = blocks_[path.segment()];
            std::array<char, 8192> page{};
            for (std::uint32_t block = 0; file.read(page.data(), page.size()); ++block) {
                if (read_page_header(as_bytes({page.data(), page.size()})).lsn > since)
                    blocks.push_back({block, 1});
            }
        }
    }
    SegmentChanges of(const RelationSegment& segment) const override {
        const auto found = blocks_.find(segment);
        if (found == blocks_.end()) return {SegmentChanges::What::all, {}};
        if (found->second.empty()) return {SegmentChanges::What::none, {}};
        return {SegmentChanges::What::some, found->second};
    }

  private:
    std::map<RelationSegment, std::vector<BlockRange>> blocks_;
};

class CaptureTest : public testing::TestWithParam<int> {
  protected:
    static PostgresOptions options() {
        return {.version = GetParam(),
                .settings =
                    "shared_buffers = 2MB\nwal_keep_size = 4GB\nmax_wal_size = 1GB\n"
                    "autovacuum_naptime = 1s\nsynchronous_commit = off\nautovacuum_vacuum_cost_delay = 0\n"};
    }

    struct Backup {
        ClusterCapture capture;
        Snapshot snapshot;
        Lsn start;
        std::uint64_t new_bytes = 0;
    };
    Backup back_up(PostgresServer& server, const Backup* last, bool compare = false) {
        BackupRunSettings settings = ContentRepository::run_settings();
        settings.kind = "postgresql";
        const std::unique_ptr<BackupRun> run = repository_.begin(settings);
        BackupSession session({.conninfo = server.conninfo()}, {});
        std::optional<NewerBlocks> changes;
        ClusterCaptureRequest request;
        request.data_directory = server.data_directory();
        request.start = session.start();
        request.compare = compare;
        if (last != nullptr) {
            changes.emplace(server.data_directory(), last->start);
            request.changes = &*changes;
            request.changes_since = last->snapshot.id;
        }
        Progress progress;
        Backup backup;
        backup.start = session.start();
        backup.capture = capture_cluster(*run, request, progress, {});
        const BackupStop stop = session.finish();
        backup.capture.pages.settle(stop.stop);
        backup.new_bytes = run->writer().totals().new_bytes;
        std::vector<ExtraFile> extras{{"backup_label", bytes_of(stop.label_text)}};
        if (!stop.tablespace_map.empty()) extras.push_back({"tablespace_map", bytes_of(stop.tablespace_map)});
        const NodeRef root = finish_cluster_tree(*run, backup.capture, extras, system_clock().now());
        backup.snapshot = run->commit(root, backup.capture.totals, SnapshotState::complete).snapshot;
        EXPECT_EQ(backup.capture.everything_read_because, "");
        EXPECT_EQ(backup.capture.totals.failed, 0U)
            << (backup.capture.problems.empty() ? "" : backup.capture.problems.front().what);
        EXPECT_EQ(backup.capture.pages.bad_pages, 0U)
            << (backup.capture.pages.bad.empty()
                    ? ""
                    : backup.capture.pages.bad.front().path + ": " + backup.capture.pages.bad.front().why);
        return backup;
    }
    static Bytes bytes_of(const std::string& text) { return Bytes(text.begin(), text.end()); }

    // What every table holds.
    static std::map<std::string, std::string> rows_of(const PostgresServer& server) {
        std::map<std::string, std::string> rows;
        const QueryResult tables =
            server.query("SELECT quote_ident(schemaname) || '.' || quote_ident(tablename) FROM pg_tables "
                         "WHERE schemaname = 'public' AND tablename <> 'unlogged'");
        for (const QueryResult::Row& row : tables.rows) {
            const std::string& table = row[0].value();
            rows[table] = server.query_value(
                "SELECT count(*) || ' ' || coalesce(sum(hashtextextended(t::text, 0)), 0) FROM " + table +
                " t");
        }
        return rows;
    }

    // Writes a snapshot back, with the server's log behind it, and starts it.
    std::unique_ptr<PostgresServer> restore(const PostgresServer& origin, const Backup& backup,
                                            const TemporaryDirectory& place) {
        repository_.reopen();
        const std::string target = place / "restored";
        Progress progress;
        const RestoreTools tools{
            repository_.repository->nodes(), repository_.repository->packs(), {}, silent_logger(), progress};
        const TreeRestoreResult result = restore_tree(backup.snapshot.root, target, {}, tools, {});
        EXPECT_EQ(result.failed, 0U) << (result.problems.empty() ? "" : result.problems.front().what);
        const fs::path data = fs::path(target) / "data";
        fs::copy(fs::path(target) / "holdfast/backup_label", data / "backup_label");
        if (!backup.capture.tablespace_links.empty()) {
            std::vector<TablespaceLocation> spaces = backup.capture.tablespace_links;
            for (TablespaceLocation& space : spaces) {
                space.path = target + "/tablespaces/" + std::to_string(space.oid);
                PostgresServer::give(space.path);
            }
            std::ofstream(data / "tablespace_map") << write_tablespace_map(spaces, GetParam());
        }
        const std::string first = segment_name(backup.capture.control.checkpoint.timeline, backup.start,
                                               backup.capture.control.wal_segment_bytes);
        for (const auto& entry : fs::directory_iterator(origin.data_directory() + "/pg_wal")) {
            const std::string name = entry.path().filename().string();
            if (name.size() == first.size() && name >= first) fs::copy(entry.path(), data / "pg_wal" / name);
        }
        fs::permissions(place.path(), fs::perms(0755));
        fs::permissions(target, fs::perms(0755));
        if (fs::exists(target + "/tablespaces")) fs::permissions(target + "/tablespaces", fs::perms(0755));
        auto server = PostgresServer::over(data.string(), options());
        server->start();
        return server;
    }

    // Lets a workload run until it has done something, and a little longer.
    static std::unique_ptr<holdfast::test::RunningProgram> start_load(const PostgresServer& server) {
        auto load = server.start_tool("pgbench", {"-n", "-c", "3", "-T", "600", "postgres"});
        const std::string before = server.query_value("SELECT count(*) FROM pgbench_history");
        while (server.query_value("SELECT count(*) FROM pgbench_history") == before) {
            EXPECT_FALSE(load->ended());
            if (load->ended()) break;
            std::this_thread::sleep_for(std::chrono::milliseconds(20));
        }
        return load;
    }
    // Nothing of the log stays in the server's memory.
    static void settle(const PostgresServer& server) {
        server.execute("SELECT txid_current()");
        server.execute("SELECT pg_switch_wal()");
    }

    ContentRepository repository_;
};

INSTANTIATE_TEST_SUITE_P(Versions, CaptureTest, testing::ValuesIn(holdfast::test::postgres_versions));

TEST_P(CaptureTest, WholeAndChangedBlocksUnderLoadComeBack) {
    PostgresServer server(options());
    server.execute("CREATE TABLESPACE space LOCATION '" + server.make_directory("space") + "'");
    ASSERT_EQ(server.run_tool("pgbench", {"-i", "-q", "-s", "4", "postgres"}).exit_code, 0);
    server.execute("CREATE TABLE elsewhere (id int PRIMARY KEY, t text) TABLESPACE space");
    server.execute("INSERT INTO elsewhere SELECT g, md5(g::text) FROM generate_series(1, 20000) g");
    server.execute("CREATE UNLOGGED TABLE unlogged AS SELECT generate_series(1, 10000) AS id");
    server.execute("CREATE TABLE doomed AS SELECT generate_series(1, 50000) AS id");

    auto load = start_load(server);
    const Backup first = back_up(server, nullptr);
    server.execute("DROP TABLE doomed");
    server.execute("DELETE FROM elsewhere WHERE id > 10000");
    server.execute("VACUUM elsewhere");
    server.execute("CREATE TABLE later AS SELECT generate_series(1, 30000) AS id");
    const Backup second = back_up(server, &first);
    EXPECT_GT(second.capture.totals.unchanged_files, 100U);
    EXPECT_LT(second.capture.bytes_from_disk, first.capture.bytes_from_disk);
    const Backup compared = back_up(server, &second, true);
    EXPECT_EQ(compared.capture.unnamed_changes, 0U) << compared.capture.unnamed[0].segment.relation.number
                                                    << " block " << compared.capture.unnamed[0].block;
    load->signal(SIGTERM);
    load->finish();
    const auto rows = rows_of(server);
    EXPECT_EQ(rows.size(), 6U);
    settle(server);

    for (const Backup* backup : {&first, &second, &compared}) {
        const TemporaryDirectory place;
        const auto restored = restore(server, *backup, place);
        EXPECT_EQ(rows_of(*restored), rows);
        EXPECT_EQ(restored->query_value("SELECT count(*) FROM unlogged"), "0");
        restored->stop();
        if (!holdfast::test::has_all_programs(GetParam())) continue;
        const holdfast::test::ProgramRun check =
            restored->run_tool("pg_checksums", {"--check", "-D", restored->data_directory()});
        EXPECT_EQ(check.exit_code, 0) << check.error;
    }
}

} // namespace
} // namespace holdfast::postgres
