// Receiving from real servers while the repository is away, the spool is full, and slots are lost.
#include "postgres/continuity/verify_wal.h"
#include "repository/protocol/writer_session.h"
#include "support/error_matchers.h"
#include "support/receive_fixture.h"

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

// A repository that cannot even be opened.
class ReceiveOutage : public ReceiveBase, public testing::Test {
  protected:
    // Ends by itself, or when it is told to.
    class Receiver {
      public:
        explicit Receiver(ReceiveOutage& test) {
            ReceiveSettings settings = test.settings;
            settings.report = [this](const ReceiveState& state) {
                const std::scoped_lock lock(mutex_);
                state_ = state;
            };
            thread_ = std::jthread([this, settings, &test](const std::stop_token& stop) {
                const auto open = [&test]() -> std::shared_ptr<Repository> {
                    if (test.away) throw Error(ErrorCode::unavailable, "nobody answers", "", true);
                    return {test.repository.get(), [](Repository*) {}};
                };
                try {
                    receive_wal(open, settings, silent_logger(), stop);
                } catch (const Error& error) {
                    const std::scoped_lock lock(mutex_);
                    error_ = error;
                }
                ended_ = true;
            });
        }
        template <typename Wanted>
        ReceiveState wait_for(Wanted&& wanted) {
            const auto patience = std::chrono::steady_clock::now() + 3min;
            for (;;) {
                const ReceiveState now = state();
                if (wanted(now)) return now;
                if (ended_ || std::chrono::steady_clock::now() > patience) {
                    ADD_FAILURE() << (error_ ? error_->message() : "waited in vain") << "\n"
                                  << to_json_text(now);
                    return now;
                }
                std::this_thread::sleep_for(20ms);
            }
        }
        ReceiveState state() {
            const std::scoped_lock lock(mutex_);
            return state_;
        }
        std::optional<Error> error() {
            thread_.join();
            return error_;
        }
        ReceiveState stop() {
            thread_.request_stop();
            thread_.join();
            EXPECT_FALSE(error_) << error_->message();
            return state_;
        }

      private:
        std::mutex mutex_;
        ReceiveState state_;
        std::optional<Error> error_;
        std::atomic<bool> ended_ = false;
        std::jthread thread_;
    };

    ReceiveOutage() {
        settings.repository_patience = 100ms;
        settings.slot_interval = 200ms;
        settings.stop_grace = 10s;
    }
    static Lsn restart_of(const PostgresServer& server) {
        const std::string text = server.query_value("SELECT restart_lsn FROM pg_replication_slots");
        return text.empty() ? Lsn{} : *parse_lsn(text);
    }
    // A backup of the source, as far as logs are concerned.
    void put_snapshot(const ArchiveId& archive, const WalRange& range) {
        if (!root_) {
            files.write_file("a", 100, 1);
            root_ = files.back_up().root;
        }
        RunContext run = repository->keys().begin_run(files.random);
        const auto session = WriterSession::begin(repository->context(), run, "test", Duration::zero());
        Snapshot made;
        made.id = run.id();
        made.source = "orders";
        made.domain = repository->keys().domain();
        made.kind = "postgresql";
        made.sequence = ++snapshots_;
        made.time = made.end = system_clock().now();
        made.root = *root_;
        made.log = SnapshotLog{archive, {range.timeline, range.begin.value, range.end.value}};
        session->commit(made);
    }
    WalVerifyReport verify() const {
        Progress progress;
        return verify_wal(*repository, {.source = "orders"}, progress, {});
    }
    // No stretch of the log is stored twice as it is.
    static void expect_nothing_twice(const WalArchive& archive) {
        std::map<LogRange, unsigned> times;
        for (const LogSliceId& slice : archive.slices()) EXPECT_EQ(++times[slice.range], 1U) << slice.name();
    }

    std::atomic<bool> away = false;

  private:
    std::uint64_t snapshots_ = 0;
    std::optional<NodeRef> root_; // of a tree that nobody looks at
};

PostgresOptions forgetful_options() {
    PostgresOptions options = options_of(15);
    options.settings = "wal_keep_size = 0\nmax_wal_size = 2MB\nmin_wal_size = 2MB\nfsync = off\n";
    return options;
}

void write_and_forget(const PostgresServer& server, int times) {
    for (int i = 0; i < times; ++i) {
        write_some(server, 1);
        server.execute("SELECT pg_switch_wal()");
        server.execute("CHECKPOINT");
    }
}

} // namespace

TEST_F(ReceiveOutage, WhoBeginsDuringItReceivesAndAcknowledgesNothing) {
    PostgresServer server(options_of(15));
    connect_to(server);
    away = true;
    Receiver receiver(*this);
    receiver.wait_for([](const auto& state) { return state.phase == "streaming"; });
    const Lsn kept = restart_of(server);
    write_some(server);
    const Lsn written = position_of(server);
    const ReceiveState during = receiver.wait_for([&](const auto& state) {
        return state.spooled.lsn >= written && has_alarm(state, "nothing is acknowledged to the server") &&
               has_alarm(state, "the server keeps");
    });
    EXPECT_TRUE(has_alarm(during, "the repository cannot be opened: nobody answers")) << to_json_text(during);
    EXPECT_FALSE(during.acknowledged.lsn);
    EXPECT_FALSE(during.archived.lsn);
    EXPECT_TRUE(during.server_keeps_bytes);
    EXPECT_EQ(restart_of(server), kept);
    away = false;
    receiver.wait_for(
        [&](const auto& state) { return state.archived.lsn >= written && state.alarms.empty(); });
    const ReceiveState last = receiver.stop();
    EXPECT_EQ(last.acknowledged, last.received);
    EXPECT_FALSE(last.server_keeps_bytes);
    expect_whole(server, last.archived);
    EXPECT_TRUE(verify().intact());
}

TEST_F(ReceiveOutage, WhoWasAtWorkBeforeLetsTheServerForget) {
    PostgresServer server(options_of(15));
    connect_to(server);
    {
        Receiver receiver(*this);
        receiver.wait_for([](const auto& state) { return state.archived.lsn; });
        receiver.stop();
    }
    away = true;
    settings.stop_grace = 10ms;
    const ReceiveState before = *read_receive_state(receive_state_path(settings.spool_directory));
    write_some(server);
    const Lsn written = position_of(server);
    {
        Receiver receiver(*this);
        const ReceiveState during =
            receiver.wait_for([&](const auto& state) { return state.acknowledged.lsn >= written; });
        EXPECT_EQ(during.archived, before.archived) << "known from the run before";
        EXPECT_TRUE(has_alarm(during, "cannot be opened")) << to_json_text(during);
        receiver.wait_for([&](const auto&) { return restart_of(server) >= written; });
        receiver.stop();
    }
    away = false;
    Receiver receiver(*this);
    receiver.wait_for([&](const auto& state) { return state.archived.lsn >= written; });
    expect_whole(server, receiver.stop().archived);
}

TEST_F(ReceiveOutage, AnotherClusterIsFoundOutWhenTheRepositoryIsBack) {
    PostgresServer server(options_of(15));
    connect_to(server);
    put_snapshot(wal_archive_id(repository->keys(), "orders", 5), {1, Lsn{1 << 20}, Lsn{2 << 20}});
    away = true;
    {
        Receiver receiver(*this);
        receiver.wait_for([](const auto& state) { return state.phase == "streaming" && state.spooled.lsn; });
        const Lsn kept = restart_of(server);
        write_some(server, 1);
        receiver.wait_for([](const auto& state) { return has_alarm(state, "nothing is acknowledged"); });
        away = false;
        const auto error = receiver.error();
        ASSERT_TRUE(error);
        EXPECT_EQ(error->code(), ErrorCode::already_exists);
        EXPECT_EQ(restart_of(server), kept) << "the server has lost nothing by it";
    }
    // With the repository there, not a byte is received.
    std::filesystem::remove_all(settings.spool_directory);
    Receiver receiver(*this);
    const auto error = receiver.error();
    ASSERT_TRUE(error);
    EXPECT_EQ(error->code(), ErrorCode::already_exists);
    EXPECT_THAT(files.names("logs/"), IsEmpty());
}

TEST_F(ReceiveOutage, WhatTheArchiveHasIsNotStoredAgain) {
    PostgresServer server(options_of(15));
    connect_to(server);
    const auto run_until = [&](Lsn position) {
        Receiver receiver(*this);
        receiver.wait_for([&](const auto& state) { return state.received.lsn >= position; });
        const ReceiveState last = receiver.stop();
        EXPECT_EQ(last.archived, last.received);
        return last;
    };
    settings.shipping.flush_interval = 1h;
    settings.repository_patience = 1h;
    write_some(server);
    server.execute("SELECT pg_switch_wal()");
    run_until(position_of(server));
    // Its state is lost: what is in the spool is held against the archive.
    std::filesystem::remove(receive_state_path(settings.spool_directory));
    write_some(server, 1);
    run_until(position_of(server));
    expect_nothing_twice(archive_of(server));
    // The spool is lost too: it goes on where the archive ends, not where the slot does.
    std::filesystem::remove_all(settings.spool_directory);
    server.execute("SELECT pg_drop_replication_slot('holdfast')");
    write_some(server, 1);
    server.execute("SELECT pg_switch_wal()");
    write_some(server, 1);
    const ReceiveState last = run_until(position_of(server));
    EXPECT_THAT(last.gaps, IsEmpty());
    EXPECT_THAT(last.alarms, IsEmpty());
    expect_nothing_twice(archive_of(server));
    expect_whole(server, last.archived);
    EXPECT_TRUE(verify().intact());
}

TEST_F(ReceiveOutage, AnotherContentIsKeptBesideWithAnAlarm) {
    PostgresServer server(options_of(15));
    connect_to(server);
    settings.shipping.flush_interval = 1h;
    write_some(server);
    {
        Receiver receiver(*this);
        const Lsn written = position_of(server);
        receiver.wait_for([&](const auto& state) { return state.received.lsn >= written; });
        receiver.stop();
    }
    const WalArchive archive = archive_of(server);
    const std::vector<LogSliceId> slices = archive.slices();
    // Of what is still in the spool one slice is another one in the archive.
    const LogSliceId of = slices[slices.size() - 2];
    LogReader::Content content = archive.reader().content(of);
    content.bytes[content.bytes.size() / 2] ^= 1;
    Compressor compressor;
    LogWriter log(repository->context(), archive.id(), 1);
    const SealedSlice other = log.seal({of.range, content.bytes, content.info.details, {}}, compressor);
    log.put(other);
    files.store->remove(of.name(), {});
    std::filesystem::remove(receive_state_path(settings.spool_directory));
    Receiver receiver(*this);
    const ReceiveState state =
        receiver.wait_for([](const auto& now) { return has_alarm(now, "the archive has other content"); });
    receiver.stop();
    EXPECT_THAT(files.names(other.id.name()), SizeIs(1));
    std::size_t beside = 0;
    for (const LogSliceId& slice : archive.slices()) beside += slice.range == of.range ? 1U : 0U;
    EXPECT_EQ(beside, 2U);
    const WalVerifyReport report = verify();
    EXPECT_TRUE(std::ranges::any_of(
        report.findings, [](const WalFinding& found) { return found.fault == WalFault::conflict; }));
}

TEST_F(ReceiveOutage, AFullSpoolSaysWhatTheServerKeepsAndHowLongThatGoesWell) {
    PostgresServer server(options_of(15));
    connect_to(server);
    settings.spool_limit_bytes = 5 * receive_segment_bytes;
    Receiver receiver(*this);
    receiver.wait_for([](const auto& state) { return state.archived.lsn; });
    failing = true;
    write_some(server, 12);
    const ReceiveState unlimited =
        receiver.wait_for([](const auto& state) { return has_alarm(state, "sets no limit"); });
    EXPECT_TRUE(has_alarm(unlimited, "the spool is full")) << to_json_text(unlimited);
    EXPECT_TRUE(has_alarm(unlimited, "MiB are free there")) << "the server is on this machine";
    EXPECT_GT(unlimited.server_keeps_bytes.value_or(0), receive_segment_bytes);
    server.add_settings("max_slot_wal_keep_size = 2000MB\n");
    server.reload();
    receiver.wait_for([](const auto& state) {
        return has_alarm(state, "max_slot_wal_keep_size lets it keep 2000 MiB") &&
               has_alarm(state, "log is lost after");
    });
    failing = false;
    const Lsn written = position_of(server);
    receiver.wait_for(
        [&](const auto& state) { return state.archived.lsn >= written && state.alarms.empty(); });
    EXPECT_FALSE(receiver.state().server_keeps_bytes);
    expect_whole(server, receiver.stop().archived);
}

TEST_F(ReceiveOutage, ASlotThatAnAdministratorDropsIsMadeAgain) {
    PostgresServer server(options_of(15));
    connect_to(server);
    Receiver receiver(*this);
    receiver.wait_for([](const auto& state) { return state.archived.lsn; });
    auto session = server.connect();
    for (int i = 0; i < 3; ++i) {
        write_some(server, 1);
        // Between two attempts of the receiver it is nobody's.
        for (bool dropped = false; !dropped;) {
            try {
                session.execute("SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots");
                session.execute("SELECT pg_drop_replication_slot('holdfast')");
                dropped = true;
            } catch (const Error&) {
                // It was back already.
            }
        }
        write_some(server, 1);
        const Lsn written = position_of(server);
        receiver.wait_for([&](const auto& state) { return state.archived.lsn >= written; });
    }
    const ReceiveState last = receiver.stop();
    EXPECT_THAT(last.gaps, IsEmpty());
    expect_whole(server, last.archived);
}

TEST_F(ReceiveOutage, ASlotThatLostItsLogLeavesAGapThatAllSeeAlike) {
    PostgresServer server(forgetful_options());
    connect_to(server);
    settings.spool_limit_bytes = 4 * receive_segment_bytes;
    settings.stop_grace = 10ms;
    ReceiveState stored;
    {
        Receiver receiver(*this);
        write_some(server, 1);
        const Lsn written = position_of(server);
        stored = receiver.wait_for([&](const auto& state) { return state.archived.lsn >= written; });
        const WalArchive archive = archive_of(server);
        put_snapshot(archive.id(), {1, first_of(archive), first_of(archive) + 8192});
        failing = true;
        write_some(server, 6);
        receiver.wait_for([](const auto& state) { return state.phase == "waiting for room"; });
        server.add_settings("max_slot_wal_keep_size = 2MB\n");
        server.reload();
        write_and_forget(server, 12);
        ASSERT_EQ(server.query_value("SELECT wal_status FROM pg_replication_slots"), "lost");
        receiver.wait_for(
            [](const auto& state) { return has_alarm(state, "it has removed log that the slot needs"); });
        receiver.stop();
    }
    failing = false;
    settings.server.create_slot = false;
    {
        // It says so, and which times are at stake, and does nothing by itself.
        Receiver receiver(*this);
        const auto error = receiver.error();
        ASSERT_TRUE(error);
        EXPECT_THAT(error->message(), HasSubstr("max_slot_wal_keep_size"));
        EXPECT_THAT(error->hint(), HasSubstr("--create-slot"));
    }
    settings.server.create_slot = true;
    Receiver receiver(*this);
    const ReceiveState state = receiver.wait_for([](const auto& now) { return !now.gaps.empty(); });
    EXPECT_TRUE(has_alarm(state, "no moment after 20")) << to_json_text(state);
    write_some(server, 1);
    const Lsn written = position_of(server);
    receiver.wait_for([&](const auto& now) { return now.archived.lsn >= written; });
    const WalArchive archive = archive_of(server);
    put_snapshot(archive.id(), {1, state.gaps[0].end, state.gaps[0].end + 8192});
    receiver.stop();
    const RecoveryWindow window = recovery_window(load_recovery_source(*repository, "orders"));
    const WalVerifyReport report = verify();
    EXPECT_THAT(report.findings, IsEmpty());
    ASSERT_THAT(window.gaps, SizeIs(1));
    ASSERT_THAT(report.window.gaps, SizeIs(1));
    EXPECT_EQ(window.gaps[0].begin, state.gaps[0].begin);
    EXPECT_EQ(window.gaps[0].end, state.gaps[0].end);
    EXPECT_EQ(report.window.gaps[0].after, window.gaps[0].after);
    EXPECT_EQ(report.window.gaps[0].before, window.gaps[0].before);
    EXPECT_EQ(report.window.gaps[0].end, window.gaps[0].end);
    EXPECT_TRUE(window.gaps[0].again_from);
}
