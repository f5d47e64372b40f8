// The log of real servers, decoded: every record of a varied workload, against pg_waldump and against what
// the servers themselves say.
#include "postgres/wal/block_changes.h"
#include "postgres/wal/timeline_history.h"
#include "postgres/wal/wal_event.h"
#include "support/varied_workload.h"
#include "support/wal_directory.h"

#include <charconv>
#include <map>
#include <set>

#include <fmt/format.h>
#include <gtest/gtest.h>

using namespace holdfast;
using namespace holdfast::postgres;
using namespace holdfast::test;

namespace {

constexpr const char* keeps_its_log = "wal_keep_size = 4GB\nmax_wal_size = 64MB\n";

constexpr std::string_view manager_names[] = {"XLOG",     "Transaction",   "Storage",   "CLOG",
                                              "Database", "Tablespace",    "MultiXact", "RelMap",
                                              "Standby",  "Heap2",         "Heap",      "Btree",
                                              "Hash",     "Gin",           "Gist",      "Sequence",
                                              "SPGist",   "BRIN",          "CommitTs",  "ReplicationOrigin",
                                              "Generic",  "LogicalMessage"};
constexpr std::string_view fork_names[] = {"main", "fsm", "vm", "init"};

// A record as pg_waldump prints it, without what it says of its data.
std::string line_of(const WalRecord& record) {
    std::string line =
        fmt::format("{} {} tx {} lsn {} prev {}", manager_names[record.resource_manager], record.bytes.size(),
                    record.xid, record.start.str(), record.previous.str());
    for (const BlockReference& block : record.blocks)
        line +=
            fmt::format(" #{} {}/{}/{} {} {}{}", block.id, block.relation.tablespace, block.relation.database,
                        block.relation.number, fork_names[static_cast<std::size_t>(block.fork)], block.block,
                        !block.has_image    ? ""
                        : block.image.apply ? " image"
                                            : " image to check");
    return line;
}

// The next word of `text` behind `label`, which is taken off.
std::string_view word_after(std::string_view& text, std::string_view label) {
    text.remove_prefix(std::min(text.find(label), text.size()));
    text.remove_prefix(std::min(label.size(), text.size()));
    text.remove_prefix(std::min(text.find_first_not_of(' '), text.size()));
    return text.substr(0, text.find_first_of(" ,;/\n"));
}

// The same of a line of pg_waldump's.
std::string line_of_waldump(std::string_view text) {
    const std::string_view manager = word_after(text, "rmgr:");
    word_after(text, "len (rec/tot):");
    const std::string_view total = word_after(text, "/");
    const std::string_view xid = word_after(text, "tx:");
    const auto position = [&](std::string_view label) {
        word_after(text, label);
        return parse_lsn(text.substr(0, text.find(','))).value().str();
    };
    const std::string start = position("lsn:");
    std::string line =
        fmt::format("{} {} tx {} lsn {} prev {}", manager, total, xid, start, position("prev"));
    while (text.find("blkref #") != std::string_view::npos) {
        const std::string_view id = word_after(text, "blkref #");
        line += fmt::format(" #{}", id.substr(0, id.find(':')));
        std::string_view one = text.substr(0, text.find(", blkref #"));
        text.remove_prefix(one.size());
        word_after(one, "rel");
        line += fmt::format(" {}", one.substr(0, one.find(' ')));
        const bool main = one.find(" fork ") == std::string_view::npos;
        line += fmt::format(" {}", main ? "main" : word_after(one, "fork"));
        line += fmt::format(" {}", word_after(one, "blk"));
        if (one.find("FPW for WAL verification") != std::string_view::npos)
            line += " image to check";
        else if (one.find("FPW") != std::string_view::npos)
            line += " image";
    }
    return line;
}

// Compares, record for record, with pg_waldump of the server's own version.
void expect_as_waldump(PostgresServer& server, const std::vector<std::string>& ours, Lsn first) {
    const ProgramRun run =
        server.run_tool("pg_waldump", {"-p", server.data_directory() + "/pg_wal", "-s", first.str()});
    std::string_view out = run.out;
    std::size_t index = 0;
    for (; !out.empty(); ++index) {
        const std::string_view line = out.substr(0, out.find('\n'));
        out.remove_prefix(std::min(line.size() + 1, out.size()));
        ASSERT_LT(index, ours.size()) << "pg_waldump goes on: " << line;
        ASSERT_EQ(ours[index], line_of_waldump(line)) << "of: " << line;
    }
    EXPECT_EQ(index, ours.size()) << "pg_waldump ends before: " << run.error;
}

struct Decoded {
    std::vector<std::string> lines;
    std::map<std::size_t, std::size_t> events; // by alternative
    std::map<TransactionId, std::int64_t> committed;
    std::set<TransactionId> aborted;
    std::set<std::string> restore_points;
    std::set<std::string> global_ids;
    WalDirectoryRead log;
    std::optional<wal_event::Checkpoint> last_checkpoint;

    template <typename T>
    std::size_t count() const {
        const auto found = events.find(wal_event::Event(T{}).index());
        return found == events.end() ? 0 : found->second;
    }
};

Decoded decode(const PostgresServer& server, TimelineId timeline = 1) {
    Decoded decoded;
    decoded.log = read_wal_directory(server.data_directory(), timeline, [&](const WalRecord& record) {
        decoded.lines.push_back(line_of(record));
        const wal_event::Event event = wal_event::event_of(record, server.version());
        ++decoded.events[event.index()];
        if (const auto* end = std::get_if<wal_event::TransactionEnd>(&event)) {
            if (end->committed)
                decoded.committed[end->xid] = end->time;
            else
                decoded.aborted.insert(end->xid);
            if (!end->global_id.empty()) decoded.global_ids.insert(end->global_id);
        }
        if (const auto* point = std::get_if<wal_event::RestorePoint>(&event))
            decoded.restore_points.insert(point->name);
        if (const auto* checkpoint = std::get_if<wal_event::Checkpoint>(&event))
            decoded.last_checkpoint = *checkpoint;
    });
    EXPECT_EQ(decoded.log.version, server.version());
    return decoded;
}

} // namespace

class WalOf : public testing::TestWithParam<int> {};

INSTANTIATE_TEST_SUITE_P(Versions, WalOf, testing::ValuesIn(postgres_versions));

TEST_P(WalOf, AVariedWorkloadIsDecodedRecordForRecord) {
    const int version = GetParam();
    PostgresServer server(
        {.version = version,
         .settings = std::string(varied_workload_settings) + keeps_its_log + "wal_level = logical\n"});
    run_varied_workload(server, 1);
    server.add_settings(version >= 15 ? "wal_compression = lz4\n" : "wal_compression = on\n");
    server.reload();
    run_varied_workload(server, 2);
    // What the server says of its transactions.
    const QueryResult times = server.query(
        "SELECT x, extract(epoch FROM date_trunc('second', time))::bigint * 1000000 + "
        "extract(microseconds FROM time)::bigint % 1000000 FROM generate_series(3, txid_current() - 1) "
        "x, "
        "LATERAL (SELECT pg_xact_commit_timestamp(x::text::xid) AS time) t WHERE time IS NOT NULL");
    const std::string aborted = server.query_value(
        "SELECT count(*) FROM generate_series(3, txid_current() - 1) x WHERE txid_status(x) = 'aborted'");
    server.stop();

    const Decoded decoded = decode(server);
    EXPECT_EQ(decoded.log.begin.value, 16U << 20);
    ASSERT_TRUE(decoded.last_checkpoint);
    EXPECT_TRUE(decoded.last_checkpoint->shutdown) << decoded.log.detail;
    EXPECT_EQ(decoded.last_checkpoint->redo, decoded.log.last_start);
    EXPECT_EQ(decoded.log.end, "zeros") << decoded.log.detail;
    if (holdfast::test::has_all_programs(version))
        expect_as_waldump(server, decoded.lines, decoded.log.begin + 40);

    ASSERT_GT(times.rows.size(), 100U);
    for (const auto& row : times.rows) {
        const auto xid = static_cast<TransactionId>(std::stoul(*row[0]));
        // Subtransactions have the time of the transaction that they belong to, and no record of their own.
        if (!decoded.committed.contains(xid)) continue;
        EXPECT_EQ(decoded.committed.at(xid), std::stoll(*row[1])) << xid;
    }
    EXPECT_GE(std::stoul(aborted), decoded.aborted.size());
    EXPECT_GE(decoded.aborted.size(), 6U);
    EXPECT_EQ(decoded.restore_points, (std::set<std::string>{"round 1", "round 2"}));
    EXPECT_TRUE(decoded.global_ids.contains("kept 1"));
    EXPECT_TRUE(decoded.global_ids.contains("lost 2"));

    EXPECT_GE(decoded.count<wal_event::Checkpoint>(), 3U);
    EXPECT_EQ(decoded.count<wal_event::CheckpointRedo>() > 0, version >= 17);
    EXPECT_EQ(decoded.last_checkpoint->wal_level.has_value(), version >= 17);
    if (version >= 17) {
        EXPECT_EQ(decoded.last_checkpoint->wal_level, wal_event::WalLevel::logical);
    }
    EXPECT_GE(decoded.count<wal_event::ParameterChange>(), 1U);
    EXPECT_GE(decoded.count<wal_event::FullPageImage>(), 100U);
    EXPECT_GE(decoded.count<wal_event::SegmentSwitch>(), 2U);
    EXPECT_GE(decoded.count<wal_event::StorageCreate>(), 50U);
    EXPECT_GE(decoded.count<wal_event::StorageTruncate>(), 2U);
    // template1 and postgres of initdb before 15, then two of each round: made, and moved.
    EXPECT_EQ(decoded.count<wal_event::DatabaseCreate>() > 0, version >= 15);
    EXPECT_GE(decoded.count<wal_event::DatabaseCopy>(), version >= 15 ? 4U : 6U);
    EXPECT_GE(decoded.count<wal_event::DatabaseDrop>(), 6U);
    EXPECT_EQ(decoded.count<wal_event::TablespaceCreate>(), 2U);
    EXPECT_EQ(decoded.count<wal_event::TablespaceDrop>(), 2U);
    EXPECT_GE(decoded.count<wal_event::RelationMapUpdate>(), 2U);
    EXPECT_EQ(decoded.count<wal_event::UnknownFileChange>(), 0U);
}

TEST_P(WalOf, SmallSegmentsThatAreUsedAgainEndInStaleBytes) {
    PostgresServer server(
        {.version = GetParam(),
         .wal_segment_mib = 1,
         .settings = std::string(varied_workload_settings) + "max_wal_size = 2MB\nmin_wal_size = 2MB\n"});
    run_varied_workload(server, 1);
    server.stop();
    const Decoded decoded = decode(server);
    EXPECT_GT(decoded.log.begin.value, 2U << 20) << "nothing was removed";
    ASSERT_TRUE(decoded.last_checkpoint);
    EXPECT_TRUE(decoded.last_checkpoint->shutdown) << decoded.log.end << " " << decoded.log.detail;
    EXPECT_EQ(decoded.last_checkpoint->redo, decoded.log.last_start);
}

TEST_P(WalOf, APromotedStandbyGoesOnWhereItsHistorySays) {
    const int version = GetParam();
    PostgresServer primary(
        {.version = version, .settings = std::string(varied_workload_settings) + keeps_its_log});
    run_varied_workload(primary, 1);
    const auto standby =
        PostgresServer::standby_of(primary, {}, std::string(varied_workload_settings) + keeps_its_log);
    primary.execute("CREATE TABLE last (x int); INSERT INTO last VALUES (1)");
    standby->catch_up_with(primary);
    standby->promote();
    standby->execute("INSERT INTO last SELECT generate_series(1, 1000)");
    standby->stop();

    const TimelineHistory history = TimelineHistory::parse(
        2, as_text(read_whole_file(standby->data_directory() + "/pg_wal/" + history_name(2))));
    ASSERT_EQ(history.ancestors().size(), 1U);
    const Lsn parted = history.ancestors()[0].end;
    // From the segment in which the standby left the primary's log, which it has copied.
    std::vector<std::pair<Lsn, TimelineId>> records;
    std::optional<wal_event::EndOfRecovery> recovery;
    Lsn recovered_at;
    const WalDirectoryRead log =
        read_wal_directory(standby->data_directory(), 2, [&](const WalRecord& record) {
            records.emplace_back(record.start, record.timeline);
            const wal_event::Event event = wal_event::event_of(record, version);
            if (const auto* end = std::get_if<wal_event::EndOfRecovery>(&event)) {
                recovery = *end;
                recovered_at = record.start;
            }
        });
    ASSERT_TRUE(recovery) << log.end << " " << log.detail;
    EXPECT_EQ(recovery->timeline, 2U);
    EXPECT_EQ(recovery->previous_timeline, 1U);
    EXPECT_EQ(recovery->wal_level.has_value(), version >= 17);
    EXPECT_TRUE(same_record_start(recovered_at, parted)) << recovered_at.str() << " " << parted.str();
    EXPECT_EQ(history.timeline_at(recovered_at), 2U);
    for (const auto& [start, timeline] : records)
        if (start < parted) {
            EXPECT_EQ(timeline, 1U);
        }
    EXPECT_EQ(records.back().second, 2U);
}

TEST_P(WalOf, AMinimalLogIsNoticed) {
    PostgresServer server({.version = GetParam(), .settings = keeps_its_log});
    const auto usable = [&] {
        BlockChanges changes(Lsn{0});
        read_wal_directory(server.data_directory(), 1, [&](const WalRecord& record) {
            changes.add(record, wal_event::event_of(record, server.version()));
        });
        return changes.usable();
    };
    server.execute("CREATE TABLE t (i int); INSERT INTO t VALUES (1)");
    server.stop();
    // initdb itself writes a minimal log; it changes to the ordinary one at the first start.
    const bool before = usable();
    server.add_settings("wal_level = minimal\nmax_wal_senders = 0\n");
    server.start();
    server.stop();
    EXPECT_FALSE(usable());
    EXPECT_TRUE(before || GetParam() >= 17);
}

TEST_P(WalOf, ARecordThatACrashCutOffIsPassedOver) {
    PostgresServer server({.version = GetParam(), .settings = std::string(keeps_its_log) + "fsync = off\n"});
    server.execute("SELECT pg_logical_emit_message(false, 'test', repeat('x', 50000))");
    server.execute("CREATE TABLE flushes_it (x int)");
    server.stop(PostgresStop::kill);
    Lsn lost;
    const WalDirectoryRead before =
        read_wal_directory(server.data_directory(), 1, [&](const WalRecord& record) {
            if (record.is_of(ResourceManager::logical_message)) lost = record.start;
        });
    ASSERT_TRUE(lost);
    // Its first page reached the disk, the others did not.
    const std::uint64_t segment_bytes = 16U << 20;
    const std::string path = server.data_directory() + "/pg_wal/" + segment_name(1, lost, segment_bytes);
    const std::uint64_t cut = lost.value % segment_bytes / wal_page_bytes * wal_page_bytes + wal_page_bytes;
    ASSERT_LT(cut + 50'000, segment_bytes) << "the record runs into the next segment";
    {
        std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
        file.seekp(static_cast<std::streamoff>(cut));
        const std::string zeros(segment_bytes - cut, '\0');
        file.write(zeros.data(), static_cast<std::streamsize>(zeros.size()));
        ASSERT_TRUE(file.good());
    }
    const WalDirectoryRead torn = read_wal_directory(server.data_directory(), 1, [](const WalRecord&) {});
    EXPECT_LT(torn.last_end, before.last_end);
    EXPECT_EQ(torn.end, "zeros") << torn.detail;
    server.start();
    server.execute("CREATE TABLE later (x int)");
    server.stop();

    Lsn overwritten;
    bool seen = false;
    const WalDirectoryRead after =
        read_wal_directory(server.data_directory(), 1, [&](const WalRecord& record) {
            seen |= record.start == lost;
            const wal_event::Event event = wal_event::event_of(record, server.version());
            if (const auto* overwrite = std::get_if<wal_event::OverwriteContinuation>(&event)) {
                overwritten = overwrite->overwritten;
            }
        });
    EXPECT_EQ(overwritten, lost);
    EXPECT_FALSE(seen);
    EXPECT_GT(after.records, torn.records + 10) << after.end << " " << after.detail;
}
