// Pages, hint bits and the control file of real servers.
#include "base/crc32c.h"
#include "integration/postgres/data_directory.h"
#include "postgres/files/control_file.h"
#include "postgres/files/exclusions.h"
#include "postgres/files/hint_bits.h"
#include "postgres/files/page.h"

#include <map>
#include <sstream>

#include <gtest/gtest.h>

namespace holdfast::postgres {
namespace {

using holdfast::test::postgres_versions;
using test::bytes_of_file;
using test::fill;
using test::PostgresServer;
using test::walk;

class PagesOnAServer : public testing::TestWithParam<int> {};

struct PageCount {
    std::uint64_t good = 0;
    std::uint64_t unused = 0;
    std::map<Fork, std::uint64_t> forks;
};

// Judges every page of a data directory; those that are neither good nor unused are test failures.
PageCount judge_all(const std::filesystem::path& root, const ControlFile& control) {
    PageCount count;
    walk(root, [&](const std::string& path, bool is_directory) {
        const DataPath parsed = parse_data_path(path);
        if (is_directory || parsed.kind != PathKind::relation) return true;
        const Bytes file = bytes_of_file(root / path);
        EXPECT_EQ(file.size() % control.block_bytes, 0U) << path;
        for (std::size_t at = 0; at < file.size(); at += control.block_bytes) {
            const auto block = static_cast<std::uint32_t>(parsed.file.segment * control.segment_blocks +
                                                          at / control.block_bytes);
            const PageVerdict verdict = judge_page(ByteView(file).subspan(at, control.block_bytes), block,
                                                   {.checksums = control.data_checksums()});
            const bool fine = verdict.state == PageState::good || verdict.state == PageState::unused;
            EXPECT_TRUE(fine) << path << " " << block << ": " << verdict.why();
            ++(verdict.state == PageState::good ? count.good : count.unused);
            ++count.forks[parsed.file.fork];
        }
        return true;
    });
    return count;
}

ControlFile control_of(const PostgresServer& server) {
    return parse_control_file(
        bytes_of_file(std::filesystem::path(server.data_directory()) / control_file_path));
}

TEST_P(PagesOnAServer, AreAllGoodAndEveryDamageIsSeen) {
    PostgresServer server({.version = GetParam(), .checksums = true});
    fill(server, 20'000);
    server.stop();
    const ControlFile control = control_of(server);
    ASSERT_TRUE(control.crc_right);
    EXPECT_EQ(control.state, ClusterState::shut_down);
    EXPECT_EQ(control.major_version(), GetParam());
    ASSERT_TRUE(control.data_checksums());
    const PageCount count = judge_all(server.data_directory(), control);
    EXPECT_GT(count.good, 2000U);
    for (const Fork fork : {Fork::main, Fork::free_space_map, Fork::visibility_map, Fork::init}) {
        EXPECT_GT(count.forks.at(fork), 0U) << to_string(fork);
    }

    // pg_class: a bit here and there, and a page in the place of another.
    const std::filesystem::path pg_class = std::filesystem::path(server.data_directory()) / "base/1/1259";
    const Bytes file = bytes_of_file(pg_class);
    Bytes page(file.begin(), file.begin() + 8192);
    for (std::size_t bit = 0; bit < page.size() * 8; bit += 101) {
        page[bit / 8] = static_cast<Byte>(page[bit / 8] ^ 1U << bit % 8);
        EXPECT_EQ(judge_page(page, 0, {.checksums = true}).state, PageState::bad) << bit;
        page[bit / 8] = static_cast<Byte>(page[bit / 8] ^ 1U << bit % 8);
    }
    EXPECT_EQ(judge_page(page, 0, {.checksums = true}).state, PageState::good);
    EXPECT_EQ(judge_page(page, 1, {.checksums = true}).state, PageState::bad);
}

// pg_checksums counts the blocks of later segments on from the ones before, and so must we.
TEST_P(PagesOnAServer, OfLaterSegmentsPleasePgChecksums) {
    PostgresServer server({.version = GetParam(), .checksums = true});
    server.stop();
    const std::filesystem::path root = server.data_directory();
    const ControlFile control = control_of(server);
    Bytes page = bytes_of_file(root / "base/1/1259");
    page.resize(control.block_bytes);
    const auto check = [&](std::uint32_t counted_as) {
        const std::string name = RelationFileName{99'999, Fork::main, 2, std::nullopt}.str();
        const std::uint16_t sum = page_checksum(page, counted_as);
        std::memcpy(page.data() + 8, &sum, sizeof sum);
        std::ofstream(root / "base/1" / name, std::ios::binary) << as_text(page);
        std::filesystem::permissions(root / "base/1" / name, std::filesystem::perms::all);
        const auto run = server.run_tool("pg_checksums", {"--check", "-D", root.string()});
        EXPECT_EQ(run.error.find(name) == std::string::npos, run.exit_code == 0) << run.error;
        return run.exit_code == 0;
    };
    EXPECT_TRUE(check(2 * control.segment_blocks));
    EXPECT_FALSE(check(0));
    EXPECT_FALSE(check(2 * control.segment_blocks + 1));
}

TEST_P(PagesOnAServer, WithoutChecksumsHaveSaneHeaders) {
    PostgresServer server({.version = GetParam(), .checksums = false});
    fill(server, 2'000);
    server.stop();
    const ControlFile control = control_of(server);
    EXPECT_FALSE(control.data_checksums());
    EXPECT_GT(judge_all(server.data_directory(), control).good, 500U);
}

// "name: value" lines of pg_controldata.
std::map<std::string, std::string> lines_of(const std::string& text) {
    std::map<std::string, std::string> lines;
    std::istringstream in(text);
    for (std::string line; std::getline(in, line);) {
        const std::size_t colon = line.find(':');
        const std::size_t value = line.find_first_not_of(' ', colon + 1);
        if (colon == std::string::npos || value == std::string::npos) continue;
        lines[line.substr(0, colon)] = line.substr(value);
    }
    return lines;
}

TEST_P(PagesOnAServer, TheControlFileSaysWhatPgControldataSays) {
    PostgresServer server({.version = GetParam(),
                           .wal_segment_mib = 4,
                           .settings = "max_connections = 37\nmax_worker_processes = 5\nmax_wal_senders = 7\n"
                                       "max_prepared_transactions = 3\nmax_locks_per_transaction = 77\n"
                                       "wal_log_hints = on\ntrack_commit_timestamp = on\n"});
    server.execute("CREATE TABLE t AS SELECT generate_series(1, 1000)");
    server.stop();
    const auto run = server.run_tool("pg_controldata", {"-D", server.data_directory()});
    ASSERT_EQ(run.exit_code, 0) << run.error;
    auto line = lines_of(run.out);
    const ControlFile control = control_of(server);
    ASSERT_TRUE(control.crc_right);
    const auto number = [](auto value) { return std::to_string(value); };
    EXPECT_EQ(line["pg_control version number"], number(control.control_version));
    EXPECT_EQ(line["Catalog version number"], number(control.catalog_version));
    EXPECT_EQ(line["Database system identifier"], number(control.system_identifier));
    EXPECT_EQ(line["Database cluster state"], to_string(control.state));
    EXPECT_EQ(line["Latest checkpoint location"], control.checkpoint.record.str());
    EXPECT_EQ(line["Latest checkpoint's REDO location"], control.checkpoint.redo.str());
    EXPECT_EQ(line["Latest checkpoint's TimeLineID"], number(control.checkpoint.timeline));
    EXPECT_EQ(line["Latest checkpoint's PrevTimeLineID"], number(control.checkpoint.previous_timeline));
    EXPECT_EQ(line["Latest checkpoint's full_page_writes"],
              control.checkpoint.full_page_writes ? "on" : "off");
    EXPECT_EQ(line["Latest checkpoint's NextXID"], number(control.checkpoint.next_xid >> 32) + ":" +
                                                       number(control.checkpoint.next_xid & 0xffffffff));
    EXPECT_EQ(line["Latest checkpoint's NextOID"], number(control.checkpoint.next_oid));
    EXPECT_EQ(line["Latest checkpoint's NextMultiXactId"], number(control.checkpoint.next_multixact));
    EXPECT_EQ(line["Latest checkpoint's NextMultiOffset"], number(control.checkpoint.next_multixact_offset));
    EXPECT_EQ(line["Latest checkpoint's oldestXID"], number(control.checkpoint.oldest_xid));
    EXPECT_EQ(line["Latest checkpoint's oldestXID's DB"], number(control.checkpoint.oldest_xid_database));
    EXPECT_EQ(line["Latest checkpoint's oldestMultiXid"], number(control.checkpoint.oldest_multixact));
    EXPECT_EQ(line["Latest checkpoint's oldestMulti's DB"],
              number(control.checkpoint.oldest_multixact_database));
    EXPECT_EQ(line["Latest checkpoint's oldestActiveXID"], number(control.checkpoint.oldest_active_xid));
    EXPECT_EQ(line["Minimum recovery ending location"], control.min_recovery_point.str());
    EXPECT_EQ(line["Min recovery ending loc's timeline"], number(control.min_recovery_timeline));
    EXPECT_EQ(line["Backup start location"], control.backup_start.str());
    EXPECT_EQ(line["Backup end location"], control.backup_end.str());
    EXPECT_EQ(line["End-of-backup record required"], control.backup_end_required ? "yes" : "no");
    EXPECT_EQ(line["wal_level setting"], to_string(control.wal_level));
    EXPECT_EQ(line["wal_log_hints setting"], "on");
    EXPECT_TRUE(control.wal_log_hints);
    EXPECT_EQ(line["max_connections setting"], number(control.floor.max_connections));
    EXPECT_EQ(line["max_worker_processes setting"], number(control.floor.max_worker_processes));
    EXPECT_EQ(line["max_wal_senders setting"], number(control.floor.max_wal_senders));
    EXPECT_EQ(line["max_prepared_xacts setting"], number(control.floor.max_prepared_transactions));
    EXPECT_EQ(line["max_locks_per_xact setting"], number(control.floor.max_locks_per_transaction));
    EXPECT_EQ(line["track_commit_timestamp setting"], "on");
    EXPECT_TRUE(control.track_commit_timestamp);
    EXPECT_EQ(line["Database block size"], number(control.block_bytes));
    EXPECT_EQ(line["Blocks per segment of large relation"], number(control.segment_blocks));
    EXPECT_EQ(line["WAL block size"], number(control.wal_block_bytes));
    EXPECT_EQ(line["Bytes per WAL segment"], number(control.wal_segment_bytes));
    EXPECT_EQ(line["Data page checksum version"], number(control.data_checksum_version));
}

TEST_P(PagesOnAServer, TheControlFileOfAStandbySaysHowFarItMustRecover) {
    PostgresServer primary({.version = GetParam()});
    const auto standby = PostgresServer::standby_of(primary);
    primary.execute("CREATE TABLE t AS SELECT generate_series(1, 10000)");
    primary.execute("CHECKPOINT");
    standby->catch_up_with(primary);
    standby->execute("CHECKPOINT");
    const ControlFile control = control_of(*standby);
    ASSERT_TRUE(control.crc_right);
    EXPECT_EQ(control.state, ClusterState::in_archive_recovery);
    EXPECT_TRUE(control.min_recovery_point);
    EXPECT_EQ(control.min_recovery_timeline, 1U);
    EXPECT_EQ(control.system_identifier, control_of(primary).system_identifier);
}

// The path of a relation's main fork, and its pages as the last checkpoint left them.
class Relation {
  public:
    Relation(PostgresServer& server, const std::string& name)
        : path_(std::filesystem::path(server.data_directory()) /
                server.query_value("SELECT pg_relation_filepath('" + name + "')")) {}
    Bytes bytes() const { return bytes_of_file(path_); }

  private:
    std::filesystem::path path_;
};

std::size_t differing_pages(const Bytes& a, const Bytes& b, bool but_hints) {
    EXPECT_EQ(a.size(), b.size());
    std::size_t count = 0;
    for (std::size_t at = 0; at < a.size(); at += 8192) {
        const ByteView first = ByteView(a).subspan(at, 8192);
        const ByteView second = ByteView(b).subspan(at, 8192);
        if (but_hints ? !equal_but_hint_bits(first, second) : !std::ranges::equal(first, second)) ++count;
    }
    return count;
}

TEST_P(PagesOnAServer, ReadingChangesNothingButHints) {
    PostgresServer server({.version = GetParam(), .checksums = false, .settings = "autovacuum = off\n"});
    server.execute("CREATE TABLE t (id int, word text) WITH (fillfactor = 90)");
    server.execute("INSERT INTO t SELECT i, md5(i::text) FROM generate_series(1, 5000) i");
    server.execute("CHECKPOINT");
    const Relation table(server, "t");
    const Bytes before = table.bytes();
    server.execute("SELECT count(*) FROM t");
    server.execute("CHECKPOINT");
    const Bytes after = table.bytes();
    EXPECT_EQ(differing_pages(before, after, false), before.size() / 8192);
    EXPECT_EQ(differing_pages(before, after, true), 0U);
    server.execute("UPDATE t SET word = 'x' WHERE id = 2500");
    server.execute("CHECKPOINT");
    const Bytes updated = table.bytes();
    EXPECT_GE(differing_pages(after, updated, true), 1U);
    EXPECT_LE(differing_pages(after, updated, true), 2U);
}

TEST_P(PagesOnAServer, ItemsFoundDeadByAnIndexScanAreHints) {
    PostgresServer server({.version = GetParam(),
                           .checksums = false,
                           .settings = "autovacuum = off\nenable_seqscan = off\nenable_bitmapscan = off\n"
                                       "enable_indexonlyscan = off\n"});
    server.execute("CREATE TABLE t (id int, word text, period int4range)");
    server.execute(
        "INSERT INTO t SELECT i, md5(i::text), int4range(i, i + 2) FROM generate_series(1, 3000) i");
    server.execute("CREATE INDEX t_btree ON t (id)");
    server.execute("CREATE INDEX t_hash ON t USING hash (word)");
    server.execute("CREATE INDEX t_gist ON t USING gist (period)");
    server.execute("DELETE FROM t WHERE id BETWEEN 1000 AND 2000");
    server.execute("CHECKPOINT");
    std::map<std::string, std::pair<Relation, Bytes>> indexes;
    for (const char* name : {"t_btree", "t_hash", "t_gist"}) {
        const Relation relation(server, name);
        indexes.emplace(name, std::pair(relation, relation.bytes()));
    }
    // The second scan finds what the first has learnt of the rows.
    for (int i = 0; i < 2; ++i) {
        server.execute("SELECT sum(length(word)) FROM t WHERE id BETWEEN 900 AND 2100");
        server.execute("SELECT sum(length(word)) FROM t WHERE period && int4range(900, 2100)");
        server.execute("DO $$ BEGIN FOR i IN 1000..2000 LOOP PERFORM id FROM t WHERE word = md5(i::text); "
                       "END LOOP; END $$");
    }
    server.execute("CHECKPOINT");
    for (const auto& [name, index] : indexes) {
        const Bytes after = index.first.bytes();
        EXPECT_GT(differing_pages(index.second, after, false), 0U) << name;
        EXPECT_EQ(differing_pages(index.second, after, true), 0U) << name;
    }
}

TEST_P(PagesOnAServer, TheCacheOnAnSpgistMetaPageIsAHint) {
    PostgresServer server({.version = GetParam(), .checksums = false, .settings = "autovacuum = off\n"});
    server.execute("CREATE TABLE t (at point)");
    server.execute("CREATE INDEX t_spgist ON t USING spgist (at)");
    server.execute("INSERT INTO t SELECT point(i, i) FROM generate_series(1, 1000) i");
    server.execute("CHECKPOINT");
    const Relation index(server, "t_spgist");
    const Bytes before = index.bytes();
    server.execute("INSERT INTO t SELECT point(i, -i) FROM generate_series(1, 5000) i");
    server.execute("CHECKPOINT");
    const Bytes after = index.bytes();
    const ByteView first = ByteView(before).first(8192);
    const ByteView second = ByteView(after).first(8192);
    EXPECT_FALSE(std::ranges::equal(first, second));
    EXPECT_TRUE(equal_but_hint_bits(first, second));
}

INSTANTIATE_TEST_SUITE_P(Version, PagesOnAServer, testing::ValuesIn(postgres_versions),
                         testing::PrintToStringParamName());

} // namespace
} // namespace holdfast::postgres
