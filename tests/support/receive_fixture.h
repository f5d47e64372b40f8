// A repository that can be made to fail, and a receiver of a server's log into it.
#pragma once

#include "support/document_repository.h"
#include "support/hook_store.h"
#include "support/receiver.h"

#include <algorithm>
#include <atomic>
#include <memory>
#include <string>

namespace holdfast::test {

using namespace std::chrono_literals;
using postgres::Lsn;
using postgres::ReceiveSettings;
using postgres::ReceiveState;
using postgres::TimelineId;
using postgres::WalArchive;
using postgres::WalPosition;

constexpr std::uint64_t receive_segment_bytes = 1 << 20;

inline PostgresOptions options_of(int version) {
    return {.version = version,
            .wal_segment_mib = 1,
            .settings = "wal_keep_size = 2GB\nmax_wal_size = 64MB\nfsync = off\n"};
}

inline Lsn position_of(const PostgresServer& server) {
    return *postgres::parse_lsn(server.query_value("SELECT pg_current_wal_flush_lsn()"));
}

// Some megabytes of log, with commits.
inline void write_some(const PostgresServer& server, int megabytes = 3) {
    for (int i = 0; i < megabytes; ++i)
        server.execute("CREATE TABLE IF NOT EXISTS w (i int, t text);"
                       "INSERT INTO w SELECT i, repeat(md5(i::text), 8) FROM generate_series(1, 3000) i");
}

inline bool has_alarm(const ReceiveState& state, const std::string& words) {
    return std::ranges::any_of(
        state.alarms, [&](const std::string& alarm) { return alarm.find(words) != std::string::npos; });
}

class ReceiveBase {
  protected:
    ReceiveBase() {
        through = std::make_shared<HookStore>(files.store, [this](const StoreCall& call) {
            if (failing && call.verb == StoreVerb::put && call.name.starts_with("logs/"))
                throw Error(ErrorCode::unavailable, "a planned fault", "", true);
        });
        repository = std::make_unique<Repository>(
            through, unlock(*files.store, DocumentRepository::passphrase()),
            LocalDirectories{files.scratch.file("cache"), files.scratch.path().string()}, system_clock(),
            files.random, silent_logger());
        settings.source = "orders";
        settings.server.slot = "holdfast";
        settings.server.create_slot = true;
        settings.spool_directory = files.scratch.file("spool");
        settings.shipping.flush_interval = 100ms;
        settings.shipping.first_retry = 10ms;
        settings.shipping.last_retry = 50ms;
        settings.first_reconnect = 10ms;
        settings.last_reconnect = 100ms;
    }
    void connect_to(const PostgresServer& server) { settings.server.conninfo = server.conninfo(); }
    RunningReceiver start() { return RunningReceiver(*repository, settings); }
    static std::uint64_t identifier_of(const PostgresServer& server) {
        return std::stoull(server.query_value("SELECT system_identifier FROM pg_control_system()"));
    }
    WalArchive archive_of(const PostgresServer& server) const {
        return {repository->context(),
                postgres::wal_archive_id(repository->keys(), "orders", identifier_of(server))};
    }
    static Lsn first_of(const WalArchive& archive, TimelineId timeline = 1) {
        Lsn first{UINT64_MAX};
        for (const LogSliceId& slice : archive.slices()) {
            if (slice.range.branch == timeline && slice.range.begin < slice.range.end)
                first = std::min(first, Lsn{slice.range.begin});
        }
        return first;
    }
    void expect_whole(const PostgresServer& server, WalPosition end) const {
        const WalArchive archive = archive_of(server);
        expect_archived_as_written(archive, server.data_directory(),
                                   {end.timeline, first_of(archive, end.timeline), end.lsn},
                                   receive_segment_bytes);
    }

    DocumentRepository files;
    std::atomic<bool> failing = false;
    std::shared_ptr<Store> through;
    std::unique_ptr<Repository> repository;
    ReceiveSettings settings;
};

} // namespace holdfast::test
