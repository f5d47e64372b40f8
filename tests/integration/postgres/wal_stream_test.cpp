#include "base/file_descriptor.h"
#include "postgres/server/slots.h"
#include "postgres/server/wal_stream.h"
#include "support/error_matchers.h"
#include "support/postgres_server.h"

#include <atomic>
#include <csignal>
#include <thread>

#include <gtest/gtest.h>

using namespace holdfast;
using namespace holdfast::postgres;
using namespace holdfast::test;
using namespace std::chrono_literals;

namespace {

constexpr std::uint64_t segment_bytes = 1 << 20;

Lsn segment_begin(Lsn lsn) { return Lsn{lsn.value / segment_bytes * segment_bytes}; }

// Follows a stream as a receiver would, and keeps what it got.
struct Receiver {
    WalStream& stream;
    Lsn begin, end;
    std::string bytes{};

    // Takes data until `goal` is received, or the stream ended; returns the event that ended it.
    StreamEvent receive_to(Lsn goal) {
        while (end < goal) {
            StreamEvent event = stream.next(60s);
            if (const WalData* data = std::get_if<WalData>(&event)) {
                if (data->start != end) throw std::runtime_error("a gap in the stream");
                bytes += as_text(data->bytes);
                end = end + data->bytes.size();
            } else if (!std::holds_alternative<Keepalive>(event)) {
                return event;
            }
            stream.report(end, end, end);
        }
        return Nothing{};
    }
};

} // namespace

class WalStreamTest : public testing::TestWithParam<int> {
  protected:
    static PostgresOptions small_segments(int version) {
        return {
            .version = version, .wal_segment_mib = 1, .settings = "max_wal_size = 4MB\nmin_wal_size = 2MB"};
    }
    static ReplicationConnection replicate(PostgresServer& server, const std::string& name = {}) {
        return ReplicationConnection({.conninfo = server.conninfo(), .application_name = name});
    }
    static Lsn position_of(PostgresServer& server) {
        return *parse_lsn(server.query_value("SELECT pg_current_wal_flush_lsn()"));
    }
    static void write_something(PostgresServer& server) {
        server.execute(
            "CREATE TABLE w AS SELECT i, md5(i::text) FROM generate_series(1, 20000) i; DROP TABLE w");
    }
};

INSTANTIATE_TEST_SUITE_P(Versions, WalStreamTest, testing::ValuesIn(postgres_versions));

TEST_P(WalStreamTest, GivesTheLogByteForByte) {
    PostgresServer server(small_segments(GetParam()));
    ReplicationConnection connection = replicate(server);
    const SystemIdentity identity = connection.identify();
    EXPECT_EQ(std::to_string(identity.system_identifier),
              server.query_value("SELECT system_identifier FROM pg_control_system()"));
    EXPECT_EQ(identity.timeline, 1u);
    const Lsn begin = segment_begin(identity.position);
    WalStream stream(connection, {.start = begin, .timeline = 1});
    Receiver receiver{stream, begin, begin};
    write_something(server);
    server.execute("SELECT pg_switch_wal()");
    const Lsn goal = segment_begin(position_of(server));
    ASSERT_GT(goal, begin + segment_bytes);
    EXPECT_TRUE(std::holds_alternative<Nothing>(receiver.receive_to(goal)));
    for (Lsn at = begin; at < goal; at = at + segment_bytes) {
        const Bytes file = read_file(
            server.data_directory() + "/pg_wal/" + segment_name(1, at, segment_bytes), segment_bytes);
        const std::string_view got = std::string_view(receiver.bytes).substr(at - begin, segment_bytes);
        EXPECT_TRUE(as_text(file) == got) << at.str();
    }
}

TEST_P(WalStreamTest, ASlotKeepsTheLogThatWasNotReported) {
    PostgresServer server(small_segments(GetParam()));
    Connection sql({.conninfo = server.conninfo()});
    create_slot(sql, "receiver");
    const Lsn kept = read_slot(sql, "receiver")->restart.value();
    for (int i = 0; i < 4; ++i) write_something(server);
    server.execute("CHECKPOINT");
    EXPECT_EQ(read_slot(sql, "receiver")->restart, kept);
    ReplicationConnection connection = replicate(server);
    if (GetParam() >= 15) {
        const auto slot = connection.read_slot_position("receiver");
        ASSERT_TRUE(slot);
        EXPECT_EQ(slot->restart, kept);
        EXPECT_EQ(slot->restart_timeline, 1u);
        EXPECT_FALSE(connection.read_slot_position("absent"));
    } else {
        expect_error(ErrorCode::unsupported, [&] { connection.read_slot_position("receiver"); });
    }
    const Lsn begin = segment_begin(kept);
    WalStream stream(connection, {.start = begin, .timeline = 1, .slot = "receiver"});
    EXPECT_TRUE(read_slot(sql, "receiver")->active_pid);
    Receiver receiver{stream, begin, begin};
    const Lsn goal = position_of(server);
    receiver.receive_to(goal);
    while (read_slot(sql, "receiver")->restart < goal) std::this_thread::sleep_for(5ms);
    // Smaller positions than were reported do not take it back.
    stream.report(kept, kept, kept);
    EXPECT_GE(read_slot(sql, "receiver")->restart, goal);

    ReplicationConnection second = replicate(server);
    const std::optional<Error> busy =
        error_of([&] { WalStream(second, {.start = begin, .timeline = 1, .slot = "receiver"}); });
    ASSERT_TRUE(busy);
    EXPECT_EQ(busy->code(), ErrorCode::unavailable);
    EXPECT_TRUE(busy->retryable());
    expect_error(ErrorCode::not_found,
                 [&] { WalStream(second, {.start = begin, .timeline = 1, .slot = "absent"}); });
}

TEST_P(WalStreamTest, SaysWhenTheLogIsGone) {
    PostgresServer server(small_segments(GetParam()));
    const Lsn old = segment_begin(position_of(server));
    for (int i = 0; i < 8; ++i) {
        write_something(server);
        server.execute("SELECT pg_switch_wal()");
        server.execute("CHECKPOINT");
    }
    ASSERT_THROW(
        read_file(server.data_directory() + "/pg_wal/" + segment_name(1, old, segment_bytes), segment_bytes),
        Error);
    ReplicationConnection connection = replicate(server);
    WalStream stream(connection, {.start = old, .timeline = 1});
    const StreamEvent event = stream.next(60s);
    ASSERT_TRUE(std::holds_alternative<WalRemoved>(event)) << event.index();
    EXPECT_NE(std::get<WalRemoved>(event).message, "");
    EXPECT_TRUE(std::holds_alternative<WalRemoved>(stream.next(60s)));
}

TEST_P(WalStreamTest, ASlotThatWasInvalidatedIsALogThatIsGone) {
    PostgresServer server(
        {.version = GetParam(),
         .wal_segment_mib = 1,
         .settings =
             "max_slot_wal_keep_size = 2MB\nmax_wal_size = 2MB\nmin_wal_size = 2MB\nwal_keep_size = 0"});
    Connection sql({.conninfo = server.conninfo()});
    create_slot(sql, "slow");
    const Lsn begin = segment_begin(read_slot(sql, "slow")->restart.value());
    for (int i = 0; i < 8; ++i)
        server.execute("CREATE TABLE t (i int); DROP TABLE t; SELECT pg_switch_wal()");
    server.execute("CHECKPOINT");
    ASSERT_TRUE(read_slot(sql, "slow")->lost());
    ReplicationConnection connection = replicate(server);
    WalStream stream(connection, {.start = begin, .timeline = 1, .slot = "slow"});
    EXPECT_TRUE(std::holds_alternative<WalRemoved>(stream.next(60s)));
}

TEST_P(WalStreamTest, FollowsAPromotionToTheNextTimeline) {
    PostgresServer primary(small_segments(GetParam()));
    const auto standby = PostgresServer::standby_of(primary);
    write_something(primary);
    standby->catch_up_with(primary);
    ReplicationConnection connection = replicate(*standby);
    const Lsn begin = segment_begin(connection.identify().position);
    EXPECT_EQ(connection.timeline_history(1), std::nullopt);
    EXPECT_EQ(connection.timeline_history(2), std::nullopt);
    TimelineEnd end;
    {
        WalStream stream(connection, {.start = begin, .timeline = 1});
        Receiver receiver{stream, begin, begin};
        receiver.receive_to(position_of(primary));
        standby->promote();
        const StreamEvent event = receiver.receive_to(Lsn{UINT64_MAX});
        ASSERT_TRUE(std::holds_alternative<TimelineEnd>(event)) << event.index();
        end = std::get<TimelineEnd>(event);
        EXPECT_EQ(receiver.end, end.switch_point);
    }
    EXPECT_EQ(end.next, 2u);
    EXPECT_GE(end.switch_point, begin);
    // The same connection goes on.
    const auto history = connection.timeline_history(2);
    ASSERT_TRUE(history);
    EXPECT_NE(history->find("1\t" + end.switch_point.str()), std::string::npos) << *history;
    {
        WalStream at_its_end(connection, {.start = end.switch_point, .timeline = 1});
        const StreamEvent event = at_its_end.next(60s);
        ASSERT_TRUE(std::holds_alternative<TimelineEnd>(event));
        EXPECT_EQ(std::get<TimelineEnd>(event).switch_point, end.switch_point);
    }
    {
        WalStream from_before(connection, {.start = begin, .timeline = 1});
        Receiver receiver{from_before, begin, begin};
        EXPECT_TRUE(std::holds_alternative<TimelineEnd>(receiver.receive_to(Lsn{UINT64_MAX})));
        EXPECT_EQ(receiver.end, end.switch_point);
    }
    const Lsn next_begin = segment_begin(end.switch_point);
    WalStream next(connection, {.start = next_begin, .timeline = 2});
    Receiver receiver{next, next_begin, next_begin};
    write_something(*standby);
    const Lsn goal = position_of(*standby);
    EXPECT_TRUE(std::holds_alternative<Nothing>(receiver.receive_to(goal)));
    EXPECT_GE(receiver.end, goal);
}

TEST_P(WalStreamTest, GetsAllThatAServerHadWhenItShutsDown) {
    PostgresServer server(small_segments(GetParam()));
    ReplicationConnection connection = replicate(server);
    Connection sql({.conninfo = server.conninfo()});
    create_slot(sql, "receiver"); // else the last checkpoint may remove what was not sent yet
    const Lsn begin = segment_begin(position_of(server));
    WalStream stream(connection, {.start = begin, .timeline = 1, .slot = "receiver"});
    Receiver receiver{stream, begin, begin};
    write_something(server);
    std::jthread stopper([&] { server.stop(PostgresStop::fast); });
    const StreamEvent event = receiver.receive_to(Lsn{UINT64_MAX});
    EXPECT_TRUE(std::holds_alternative<ServerStopped>(event)) << event.index();
    stopper.join();
    server.start();
    // Nothing was written that we did not get.
    EXPECT_GE(position_of(server), receiver.end);
    EXPECT_EQ(
        as_text(read_file(server.data_directory() + "/pg_wal/" +
                              segment_name(1, segment_begin(Lsn{receiver.end.value - 1}), segment_bytes),
                          segment_bytes))
            .substr(0, (receiver.end.value - 1) % segment_bytes + 1),
        std::string_view(receiver.bytes).substr(segment_begin(Lsn{receiver.end.value - 1}) - begin));
}

// It ends once all is reported; what it said last is still to be read then, and no answer goes any more.
TEST_P(WalStreamTest, TheLastWordOfAServerIsReadThoughItTakesNoAnswers) {
    PostgresServer server(small_segments(GetParam()));
    ReplicationConnection connection = replicate(server);
    Lsn end = position_of(server);
    WalStream stream(connection, {.start = end, .timeline = 1});
    std::atomic<bool> stopped = false;
    std::jthread stopper([&] {
        server.stop(PostgresStop::fast);
        stopped = true;
    });
    const auto take = [&] {
        const StreamEvent event = stream.next(1s);
        if (const WalData* data = std::get_if<WalData>(&event)) end = data->start + data->bytes.size();
        return event;
    };
    while (!stopped) {
        take();
        stream.report(end, end, end);
        std::this_thread::sleep_for(300ms);
    }
    for (int i = 0; i < 3; ++i) stream.report(end, end, end);
    StreamEvent event = take();
    while (std::holds_alternative<WalData>(event) || std::holds_alternative<Keepalive>(event)) event = take();
    EXPECT_TRUE(std::holds_alternative<ServerStopped>(event)) << event.index();
}

TEST_P(WalStreamTest, ACrashIsUnavailableAndCanBeTriedAgain) {
    PostgresServer server(small_segments(GetParam()));
    ReplicationConnection connection = replicate(server);
    WalStream stream(connection, {.start = position_of(server), .timeline = 1});
    server.stop(PostgresStop::kill);
    const std::optional<Error> error = error_of([&] {
        while (true) stream.next(60s);
    });
    ASSERT_TRUE(error);
    EXPECT_EQ(error->code(), ErrorCode::unavailable) << error->message();
    EXPECT_TRUE(error->retryable());
}

TEST_P(WalStreamTest, WaitsEndAtTheirTimeAndAtAStop) {
    PostgresServer& server = PostgresServer::shared(GetParam());
    ReplicationConnection connection = replicate(server);
    WalStream stream(connection, {.start = position_of(server), .timeline = 1});
    while (!std::holds_alternative<Nothing>(stream.next(50ms))) {
    }
    std::stop_source stop;
    std::jthread stopper([&] { stop.request_stop(); });
    expect_error(ErrorCode::cancelled, [&] {
        while (true) stream.next(10min, stop.get_token());
    });
    EXPECT_NO_THROW(stream.next(0s));
}

TEST_P(WalStreamTest, AServerThatFellSilentIsGivenUp) {
    PostgresServer& server = PostgresServer::shared(GetParam());
    ReplicationConnection connection = replicate(server, "silent");
    WalStream stream(
        connection,
        {.start = position_of(server), .timeline = 1, .status_interval = 100ms, .receive_timeout = 1s});
    // It answers when it is asked: silence alone is no death.
    const auto long_enough = std::chrono::steady_clock::now() + 2500ms;
    while (std::chrono::steady_clock::now() < long_enough) EXPECT_NO_THROW(stream.next(100ms));
    const pid_t sender = std::stoi(
        server.query_value("SELECT pid FROM pg_stat_replication WHERE application_name = 'silent'"));
    ASSERT_EQ(::kill(sender, SIGSTOP), 0);
    const std::optional<Error> error = error_of([&] {
        while (true) stream.next(60s);
    });
    ::kill(sender, SIGCONT);
    ASSERT_TRUE(error);
    EXPECT_EQ(error->code(), ErrorCode::timed_out) << error->message();
    EXPECT_TRUE(error->retryable());
}

TEST_P(WalStreamTest, AnotherLogThanTheServersIsRefused) {
    PostgresServer& server = PostgresServer::shared(GetParam());
    ReplicationConnection connection = replicate(server);
    expect_error(
        ErrorCode::corrupt,
        [&] { WalStream(connection, {.start = position_of(server) + (1 << 30), .timeline = 1}); },
        "the server's ends at");
    EXPECT_THROW(WalStream(connection, {.start = position_of(server), .timeline = 9}), ServerError);
}

TEST_P(WalStreamTest, AsASynchronousStandbyLetsCommitsReturnOnceTheyAreReported) {
    PostgresServer server({.version = GetParam()});
    server.execute("CREATE TABLE t (i int)");
    server.execute("ALTER SYSTEM SET synchronous_standby_names = 'holdfast'");
    server.reload();
    ReplicationConnection connection = replicate(server);
    const Lsn begin = position_of(server);
    WalStream stream(connection, {.start = begin, .timeline = 1, .status_interval = 10min});
    stream.report(begin, begin, begin);
    while (server.query_value("SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'") != "1")
        stream.next(1ms);
    std::atomic<bool> committed = false;
    std::jthread writer([&] {
        server.execute("INSERT INTO t VALUES (1)");
        committed = true;
    });
    Lsn end = begin;
    while (server.query_value("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'") != "1") {
        if (const StreamEvent event = stream.next(1ms); const WalData* data = std::get_if<WalData>(&event))
            end = data->start + data->bytes.size();
    }
    EXPECT_FALSE(committed);
    while (!committed) {
        stream.report(end, end, end);
        if (const StreamEvent event = stream.next(5ms); const WalData* data = std::get_if<WalData>(&event))
            end = data->start + data->bytes.size();
    }
    EXPECT_EQ(server.query_value("SELECT count(*) FROM t"), "1");
}
