// The log of real servers, received while they are at work and while everything fails.
#include "postgres/archive/wal_push.h"
#include "postgres/receive/synced_mark.h"
#include "service/open_repository.h"
#include "support/error_matchers.h"
#include "support/holdfast_user.h"
#include "support/receive_fixture.h"

#include <csignal>
#include <filesystem>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

using namespace holdfast;
using namespace holdfast::postgres;
using namespace holdfast::test;
using namespace std::chrono_literals;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

namespace {

constexpr std::uint64_t mebibyte = receive_segment_bytes;

// Lets all commits return that wait for a synchronous standby, when it is destroyed.
class NoSynchronousStandby {
  public:
    explicit NoSynchronousStandby(PostgresServer& server) : server_(server) {}
    ~NoSynchronousStandby() {
        server_.execute("ALTER SYSTEM RESET synchronous_standby_names");
        server_.reload();
    }
    NoSynchronousStandby(const NoSynchronousStandby&) = delete;
    NoSynchronousStandby& operator=(const NoSynchronousStandby&) = delete;

  private:
    PostgresServer& server_;
};

class ReceiveTest : public ReceiveBase, public testing::TestWithParam<int> {};
class ReceiveFrom15 : public ReceiveBase, public testing::Test {
  protected:
    // Has a receiver archive all that is written by now, and a little more, without a gap.
    void receive_some(const PostgresServer& server) {
        RunningReceiver receiver = start();
        receiver.wait_for([](const auto& state) { return state.phase == "streaming"; });
        write_some(server, 1);
        receiver.wait_until_archived({timeline_of(server), position_of(server)});
        EXPECT_THAT(receiver.stop().gaps, SizeIs(0));
    }
    // The segment that is written now, and none before it; with the history of its timeline, as archivers do.
    void push_last_segment(const PostgresServer& server) {
        const std::string name = server.query_value("SELECT pg_walfile_name(pg_current_wal_lsn())");
        server.execute("SELECT pg_switch_wal()");
        PushSettings push;
        push.source = "orders";
        push.spool_directory = files.scratch.file("push");
        const std::string directory = server.data_directory() + "/pg_wal/";
        if (const TimelineId timeline = timeline_of(server); timeline > 1)
            push_wal(*repository, directory + history_name(timeline), push, {});
        push_wal(*repository, directory + name, push, {});
    }
    static TimelineId timeline_of(const PostgresServer& server) {
        const std::string name = server.query_value("SELECT pg_walfile_name(pg_current_wal_lsn())");
        return parse_segment_name(name, mebibyte).value().timeline;
    }
};

} // namespace

INSTANTIATE_TEST_SUITE_P(Versions, ReceiveTest, testing::ValuesIn(postgres_versions));

TEST_P(ReceiveTest, TheArchiveFollowsTheServerByteForByte) {
    PostgresServer server(options_of(GetParam()));
    connect_to(server);
    RunningReceiver receiver = start();
    receiver.wait_for([](const auto& state) { return state.phase == "streaming"; });
    write_some(server);
    const Lsn written = position_of(server);
    const ReceiveState state = receiver.wait_until_archived({1, written});
    EXPECT_THAT(state.alarms, SizeIs(0));
    // Also what came just before the end.
    write_some(server, 1);
    const Lsn more = position_of(server);
    receiver.wait_for([&](const auto& now) { return now.received >= WalPosition{1, more}; });
    const ReceiveState last = receiver.stop();
    EXPECT_EQ(last.archived, last.received);
    EXPECT_EQ(last.acknowledged, last.received);
    EXPECT_GE(last.archived.lsn, more);
    EXPECT_GT(last.last_commit, written);
    EXPECT_GT(last.last_commit_us, 0);
    expect_whole(server, last.archived);
    // The server knows, and so do others.
    EXPECT_EQ(server.query_value("SELECT restart_lsn FROM pg_replication_slots"), last.archived.lsn.str());
    const auto told = read_receive_state(receive_state_path(settings.spool_directory));
    ASSERT_TRUE(told);
    EXPECT_EQ(told->archived, last.archived);
    EXPECT_EQ(told->phase, "stopped");
    EXPECT_EQ(told->last_commit_us, last.last_commit_us);
}

TEST_P(ReceiveTest, APromotionIsFollowedToTheNextTimeline) {
    PostgresServer primary(options_of(GetParam()));
    const auto standby = PostgresServer::standby_of(primary, {}, options_of(GetParam()).settings);
    connect_to(*standby);
    write_some(primary);
    RunningReceiver receiver = start();
    receiver.wait_for([](const auto& state) { return state.phase == "streaming"; });
    write_some(primary);
    standby->catch_up_with(primary);
    standby->promote();
    write_some(*standby);
    const Lsn written = position_of(*standby);
    receiver.wait_until_archived({2, written});
    const ReceiveState last = receiver.stop();
    expect_whole(*standby, last.archived);
    const WalArchive archive = archive_of(*standby);
    const auto history = archive.history_text(2);
    ASSERT_TRUE(history);
    const TimelineHistory two = TimelineHistory::parse(2, *history);
    ASSERT_THAT(two.ancestors(), SizeIs(1));
    // The first timeline up to its end, and nothing behind it.
    expect_archived_as_written(archive, primary.data_directory(),
                               {1, first_of(archive), two.ancestors()[0].end}, mebibyte);
    for (const LogSliceId& slice : archive.slices()) {
        if (slice.range.branch == 1) {
            EXPECT_LE(slice.range.end, two.ancestors()[0].end.value);
        }
    }
}

TEST_P(ReceiveTest, ServersThatStopAndCrashAreWaitedFor) {
    PostgresServer server(options_of(GetParam()));
    connect_to(server);
    RunningReceiver receiver = start();
    receiver.wait_for([](const auto& state) { return state.phase == "streaming"; });
    for (const PostgresStop how : {PostgresStop::fast, PostgresStop::immediate, PostgresStop::kill}) {
        write_some(server, 1);
        server.stop(how);
        receiver.wait_for([](const auto& state) { return state.phase == "reconnecting"; });
        EXPECT_TRUE(has_alarm(receiver.state(), "server") || has_alarm(receiver.state(), "not received"));
        server.start();
        write_some(server, 1);
        receiver.wait_until_archived({1, position_of(server)});
    }
    const ReceiveState last = receiver.stop();
    EXPECT_THAT(last.alarms, SizeIs(0));
    expect_whole(server, last.archived);
}

TEST_F(ReceiveFrom15, WhileTheRepositoryFailsTheSpoolIsAcknowledgedAndSaidSo) {
    PostgresServer server(options_of(15));
    connect_to(server);
    settings.repository_patience = 200ms;
    settings.stop_grace = 10ms;
    RunningReceiver receiver = start();
    receiver.wait_for([](const auto& state) { return state.archived.lsn; });
    failing = true;
    write_some(server);
    const Lsn written = position_of(server);
    const ReceiveState during =
        receiver.wait_for([&](const auto& state) { return state.acknowledged.lsn >= written; });
    EXPECT_LT(during.archived.lsn, written);
    EXPECT_TRUE(has_alarm(during, "nothing could be stored")) << to_json_text(during);
    EXPECT_TRUE(has_alarm(during, "a planned fault")) << to_json_text(during);
    // The server has let go what only the spool has; a receiver that is started again stores it.
    receiver.wait_for([&](const auto&) {
        return *parse_lsn(server.query_value("SELECT restart_lsn FROM pg_replication_slots")) >= written;
    });
    const ReceiveState stopped = receiver.stop();
    EXPECT_LT(stopped.archived.lsn, written);
    failing = false;
    server.stop(PostgresStop::fast);
    RunningReceiver second = start();
    // Also while the server is away.
    second.wait_until_archived({1, written});
    server.start();
    write_some(server, 1);
    second.wait_until_archived({1, position_of(server)});
    const ReceiveState last = second.stop();
    EXPECT_THAT(last.alarms, SizeIs(0));
    expect_whole(server, last.archived);
}

TEST_F(ReceiveFrom15, SynchronouslyACommitReturnsWhenTheRepositoryHasIt) {
    PostgresServer server(options_of(15));
    connect_to(server);
    server.execute("CREATE TABLE t (i int)");
    settings.synchronous = Synchronous::repository;
    settings.repository_patience = 100ms;
    settings.shipping.flush_interval = {};
    settings.server.application_name = "vault";
    RunningReceiver receiver = start();
    receiver.wait_for([](const auto& state) { return state.archived.lsn; });
    server.execute("ALTER SYSTEM SET synchronous_standby_names = 'vault'");
    server.reload();
    const auto kind = [&] {
        return server.query_value(
            "SELECT max(sync_state) FROM pg_stat_replication WHERE application_name = 'vault'");
    };
    receiver.wait_for([&](const auto&) { return kind() == "sync"; });
    for (int i = 0; i < 20; ++i) {
        Connection writer = server.connect();
        writer.execute("INSERT INTO t VALUES (1)");
        const Lsn committed = *parse_lsn(*writer.query_value("SELECT pg_current_wal_insert_lsn()"));
        // What was written behind the commit may be on its way.
        const WalArchive archive = archive_of(server);
        Lsn end;
        for (const LogSliceId& slice : archive.slices()) end = std::max(end, Lsn{slice.range.end});
        EXPECT_GE(end.value + 512, committed.value) << end.str() << " " << committed.str();
    }
    failing = true;
    std::atomic<bool> returned = false;
    std::jthread writer;
    const NoSynchronousStandby when_done(server); // goes first, so that the writer ends whatever happens
    writer = std::jthread([&] {
        server.execute("INSERT INTO t VALUES (2)");
        returned = true;
    });
    receiver.wait_for([](const auto& state) { return has_alarm(state, "nothing is acknowledged"); });
    // Nor does a lost connection acknowledge what the spool has.
    server.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_replication");
    receiver.wait_for([&](const auto&) { return kind() == "sync"; });
    EXPECT_FALSE(returned);
    EXPECT_LE(receiver.state().acknowledged, receiver.state().archived);
    failing = false;
    receiver.wait_for([&](const auto&) { return returned.load(); });
    EXPECT_TRUE(returned);
    const ReceiveState last = receiver.stop();
    expect_whole(server, last.archived);
}

TEST_F(ReceiveFrom15, WithTheSpoolACommitChoosesWhatItWaitsFor) {
    PostgresServer server(options_of(15));
    connect_to(server);
    server.execute("CREATE TABLE t (i int)");
    settings.synchronous = Synchronous::spool;
    settings.stop_grace = 0s;
    settings.repository_patience = 100ms;
    settings.server.application_name = "vault";
    {
        RunningReceiver receiver = start();
        receiver.wait_for([](const auto& state) { return state.archived.lsn; });
        server.execute("ALTER SYSTEM SET synchronous_standby_names = 'vault'");
        server.reload();
        receiver.wait_for([&](const auto&) {
            return server.query_value("SELECT max(sync_state) FROM pg_stat_replication") == "sync";
        });
        failing = true;
        std::atomic<bool> returned = false;
        std::jthread writer;
        const NoSynchronousStandby when_done(server); // goes first, so that the writer ends whatever happens
        writer = std::jthread([&] {
            server.execute("SET synchronous_commit = on; INSERT INTO t VALUES (1)");
            returned = true;
        });
        // While the repository takes nothing, and long after its patience: from the spool, one after another.
        for (int i = 0; i < 20; ++i) {
            Connection session = server.connect();
            session.execute("SET synchronous_commit = remote_write");
            session.execute("INSERT INTO t VALUES (2)");
            const Lsn committed = *parse_lsn(*session.query_value("SELECT pg_current_wal_insert_lsn()"));
            // What was written behind the commit may be on its way.
            const auto mark = SyncedMark(receive_directory(settings.spool_directory) + "/synced").position();
            EXPECT_GE(mark.value_or(WalPosition{}).lsn.value + 512, committed.value);
        }
        const ReceiveState state =
            receiver.wait_for([](const auto& now) { return has_alarm(now, "nothing is acknowledged"); });
        EXPECT_FALSE(returned);
        EXPECT_LE(state.acknowledged, state.archived);
        EXPECT_EQ(server.query_value("SELECT confirmed_flush_lsn IS NULL AND restart_lsn < "
                                     "pg_current_wal_lsn() FROM pg_replication_slots"),
                  "t");
        server.execute("ALTER SYSTEM RESET synchronous_standby_names");
        server.reload();
        receiver.wait_for([&](const auto&) { return returned.load(); });
        const ReceiveState last = receiver.stop();
        EXPECT_LT(last.archived, last.spooled);
    }
    failing = false;
    RunningReceiver receiver = start();
    receiver.wait_until_archived({1, position_of(server)});
    expect_whole(server, receiver.stop().archived);
}

TEST_F(ReceiveFrom15, SynchronouslyWhatTheSpoolLosesInAPowerCutIsInTheArchive) {
    PostgresServer server(options_of(15));
    connect_to(server);
    settings.synchronous = Synchronous::repository;
    settings.shipping.flush_interval = {};
    ReceiveState before;
    {
        RunningReceiver receiver = start();
        write_some(server);
        receiver.wait_until_archived({1, position_of(server)});
        before = receiver.stop();
    }
    EXPECT_GE(before.acknowledged.lsn, before.archived.lsn);
    std::vector<std::filesystem::path> segments;
    for (const auto& entry : std::filesystem::directory_iterator(receive_directory(settings.spool_directory)))
        if (entry.path().filename().string().size() == 24) segments.push_back(entry.path());
    std::ranges::sort(segments);
    ASSERT_GE(segments.size(), 2U);
    std::filesystem::remove(segments.back());
    std::filesystem::resize_file(segments[segments.size() - 2], mebibyte / 2);
    before.boot = "another";
    write_receive_state(receive_state_path(settings.spool_directory), before);
    RunningReceiver receiver = start();
    write_some(server);
    receiver.wait_until_archived({1, position_of(server)});
    const ReceiveState last = receiver.stop();
    EXPECT_THAT(last.gaps, IsEmpty());
    EXPECT_GE(last.acknowledged, before.acknowledged);
    expect_whole(server, last.archived);
}

TEST_F(ReceiveFrom15, AFullSpoolStopsReceivingUntilThereIsRoom) {
    PostgresServer server(options_of(15));
    connect_to(server);
    settings.repository_patience = 100ms;
    settings.spool_limit_bytes = 5 * mebibyte;
    RunningReceiver receiver = start();
    receiver.wait_for([](const auto& state) { return state.archived.lsn; });
    failing = true;
    write_some(server, 12);
    const ReceiveState full =
        receiver.wait_for([](const auto& state) { return state.phase == "waiting for room"; });
    EXPECT_TRUE(has_alarm(full, "the spool is full"));
    EXPECT_LE(full.spool_bytes, settings.spool_limit_bytes + mebibyte);
    EXPECT_LT(full.received.lsn, position_of(server));
    failing = false;
    receiver.wait_until_archived({1, position_of(server)});
    receiver.wait_for([](const auto& state) { return state.alarms.empty(); });
    expect_whole(server, receiver.stop().archived);
}

TEST_F(ReceiveFrom15, ASlotThatWasDroppedIsMadeAgainWhenToldAndAGapIsNamed) {
    PostgresOptions options = options_of(15);
    options.settings = "wal_keep_size = 0\nmax_wal_size = 2MB\nmin_wal_size = 2MB\nfsync = off\n";
    PostgresServer server(options);
    connect_to(server);
    settings.server.create_slot = false;
    {
        RunningReceiver receiver = start();
        const auto error = receiver.error();
        ASSERT_TRUE(error);
        EXPECT_EQ(error->code(), ErrorCode::not_found);
        EXPECT_THAT(error->hint(), HasSubstr("--create-slot"));
    }
    settings.server.create_slot = true;
    Lsn end;
    {
        RunningReceiver receiver = start();
        receiver.wait_for([](const auto& state) { return state.phase == "streaming"; });
        write_some(server, 2);
        receiver.wait_until_archived({1, position_of(server)});
        end = receiver.stop().archived.lsn;
    }
    // Nothing was written that needs the slot.
    server.execute("SELECT pg_drop_replication_slot('holdfast')");
    {
        RunningReceiver receiver = start();
        write_some(server, 1);
        receiver.wait_until_archived({1, position_of(server)});
        const ReceiveState state = receiver.stop();
        EXPECT_THAT(state.gaps, SizeIs(0));
        end = state.archived.lsn;
    }
    server.execute("SELECT pg_drop_replication_slot('holdfast')");
    for (int i = 0; i < 8; ++i) {
        write_some(server, 1);
        server.execute("SELECT pg_switch_wal()");
        server.execute("CHECKPOINT");
    }
    RunningReceiver receiver = start();
    const ReceiveState state =
        receiver.wait_for([](const auto& now) { return has_alarm(now, "is lost") && !now.gaps.empty(); });
    EXPECT_TRUE(has_alarm(state, "holdfast backup orders")) << to_json_text(state);
    write_some(server, 1);
    receiver.wait_until_archived({1, position_of(server)});
    const ReceiveState last = receiver.stop();
    ASSERT_THAT(last.gaps, SizeIs(1));
    EXPECT_EQ(last.gaps[0].begin, end);
    EXPECT_GT(last.gaps[0].end, end);
    // It stays visible: what is before and behind it is there, and no more.
    const WalArchive archive = archive_of(server);
    EXPECT_EQ(archive.read({1, first_of(archive), last.archived.lsn}, [](ByteView) {}), end);
    EXPECT_EQ(archive.read({1, last.gaps[0].end, last.archived.lsn}, [](ByteView) {}), last.archived.lsn);
    const auto told = read_receive_state(receive_state_path(settings.spool_directory));
    ASSERT_TRUE(told);
    EXPECT_EQ(told->gaps, last.gaps);
}

TEST_F(ReceiveFrom15, WhatSomebodyElseHasArchivedIsNoGap) {
    PostgresOptions options = options_of(15);
    options.settings = "wal_keep_size = 0\nmax_wal_size = 2MB\nmin_wal_size = 2MB\nfsync = off\n";
    PostgresServer server(options);
    connect_to(server);
    receive_some(server);
    server.execute("SELECT pg_drop_replication_slot('holdfast')");
    PushSettings push;
    push.source = "orders";
    push.spool_directory = settings.spool_directory;
    for (int i = 0; i < 8; ++i) {
        write_some(server, 1);
        server.execute("SELECT pg_switch_wal()");
        for (const std::string& name : wal_segments(server.data_directory())) {
            const auto segment = parse_segment_name(name, mebibyte);
            if (segment->begin + mebibyte > position_of(server)) continue;
            push_wal(*repository, server.data_directory() + "/pg_wal/" + name, push, {});
        }
        server.execute("CHECKPOINT");
    }
    RunningReceiver receiver = start();
    write_some(server, 1);
    receiver.wait_until_archived({1, position_of(server)});
    const ReceiveState last = receiver.stop();
    EXPECT_THAT(last.gaps, SizeIs(0));
    EXPECT_THAT(last.alarms, SizeIs(0));
    const WalArchive archive = archive_of(server);
    EXPECT_EQ(archive.read({1, first_of(archive), last.archived.lsn}, [](ByteView) {}), last.archived.lsn);
}

// As a backup does, which brings its own log, while the machine of the receiver has lost its spool.
TEST_F(ReceiveFrom15, WhatIsMissingBeforeWhatSomebodyElseHasArchivedIsReceived) {
    PostgresServer server(options_of(15));
    connect_to(server);
    receive_some(server);
    write_some(server, 3);
    push_last_segment(server);
    std::filesystem::remove_all(settings.spool_directory);
    receive_some(server);
    const WalArchive archive = archive_of(server);
    const Lsn end = position_of(server);
    EXPECT_EQ(archive.read({1, first_of(archive), end}, [](ByteView) {}), end);
}

TEST_F(ReceiveFrom15, WhatIsMissingOnTheTimelineThatASlotBeganOnIsReceived) {
    PostgresServer primary(options_of(15));
    const auto standby = PostgresServer::standby_of(primary, {}, options_of(15).settings);
    connect_to(primary);
    receive_some(primary);
    standby->catch_up_with(primary);
    standby->promote();
    connect_to(*standby);
    standby->execute("SELECT pg_create_physical_replication_slot('holdfast', true)");
    const Lsn kept = position_of(*standby);
    write_some(*standby, 3);
    push_last_segment(*standby);
    std::filesystem::remove_all(settings.spool_directory);
    receive_some(*standby);
    const Lsn end = position_of(*standby);
    EXPECT_EQ(archive_of(*standby).read({2, kept, end}, [](ByteView) {}), end);
}

TEST_F(ReceiveFrom15, ASecondReceiverAndAnotherClusterAreRefused) {
    PostgresServer server(options_of(15));
    connect_to(server);
    RunningReceiver receiver = start();
    receiver.wait_for([](const auto& state) { return state.archived.lsn; });
    expect_error(
        ErrorCode::already_exists, [&] { receive_wal(*repository, settings, {}); }, "another receiver");
    receiver.stop();
    connect_to(PostgresServer::shared(15));
    expect_error(
        ErrorCode::already_exists, [&] { receive_wal(*repository, settings, {}); }, "system identifier");
    EXPECT_EQ(PostgresServer::shared(15).query_value("SELECT count(*) FROM pg_stat_replication"), "0");
    server.query_value("SELECT 1");
    PostgresServer::shared(15).execute("SELECT pg_drop_replication_slot('holdfast')");
}

// The program itself, killed again and again while the server is at work.
// Whether `wanted` comes true before the test has waited in vain.
template <typename Wanted>
bool comes_true(Wanted&& wanted) {
    const auto patience = std::chrono::steady_clock::now() + std::chrono::minutes(3);
    while (!wanted()) {
        if (std::chrono::steady_clock::now() > patience) return false;
        std::this_thread::sleep_for(10ms);
    }
    return true;
}

class ReceiveProgram : public HoldfastUser {};

TEST_F(ReceiveProgram, KilledAgainAndAgainItLosesNothing) {
    PostgresServer server(options_of(15));
    run({"init"});
    write("../holdfast.toml", "[source.orders]\nkind = \"postgresql\"\nconnection = \"" + server.conninfo() +
                                  "\"\nspool_directory = \"" + scratch.file("spool") + "\"\n");
    const std::vector<std::string> words{"--config",
                                         scratch.file("holdfast.toml"),
                                         "wal",
                                         "receive",
                                         "--flush-interval",
                                         "0.2",
                                         "--create-slot",
                                         "orders"};
    ASSERT_EQ(server.run_tool("pgbench", {"-i", "-s", "1", "postgres"}).exit_code, 0);
    const auto load = server.start_tool("pgbench", {"-c", "2", "-T", "600", "-R", "200", "postgres"});
    const auto acknowledged = [&] {
        return *parse_lsn(
            server.query_value("SELECT coalesce(max(restart_lsn), '0/0') FROM pg_replication_slots"));
    };
    Lsn before;
    for (int round = 0; round < 8; ++round) {
        const auto receiver = start(words);
        // Each time it must have come further.
        ASSERT_TRUE(comes_true([&] { return acknowledged() > before || receiver->ended(); }));
        ASSERT_FALSE(receiver->ended()) << receiver->finish().error;
        std::this_thread::sleep_for(std::chrono::milliseconds(round * 37));
        receiver->signal(SIGKILL);
        receiver->finish();
        before = acknowledged();
    }
    load->signal(SIGTERM);
    load->finish();
    const Lsn written = position_of(server);
    const auto receiver = start(words);
    // Of this source in this repository.
    const std::string spool = std::filesystem::directory_iterator(scratch.file("spool"))->path().string();
    const auto state = [&] { return read_receive_state(receive_state_path(spool)); };
    ASSERT_TRUE(
        comes_true([&] { return (state() && state()->archived.lsn >= written) || receiver->ended(); }));
    receiver->signal(SIGTERM);
    const ProgramRun run = receiver->finish();
    EXPECT_EQ(run.exit_code, 0) << run.error;
    EXPECT_THAT(run.out, HasSubstr("archived up to"));

    RepositoryAccess access;
    access.url = repository();
    access.key_file = scratch.file("key");
    access.cache_directory = scratch.file("cache");
    const OpenRepository open = open_repository(access, silent_logger());
    const WalArchive archive = open_wal_archive(*open.repository, "orders");
    Lsn first{UINT64_MAX};
    for (const LogSliceId& slice : archive.slices()) first = std::min(first, Lsn{slice.range.begin});
    EXPECT_GE(state()->archived.lsn, written);
    expect_archived_as_written(archive, server.data_directory(), {1, first, state()->archived.lsn}, mebibyte);
}
