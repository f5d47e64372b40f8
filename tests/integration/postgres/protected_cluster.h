// A cluster with a repository that it is backed up to and restored from, for tests.
#pragma once

#include "integration/postgres/data_directory.h"
#include "postgres/archive/wal_push.h"
#include "service/back_up_postgres.h"
#include "service/open_repository.h"
#include "service/restore_postgres.h"
#include "support/repository_fixture.h"
#include "support/wal_directory.h"

#include <csignal>
#include <fstream>
#include <memory>
#include <thread>

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/wait.h>

namespace holdfast::postgres::test {

namespace fs = std::filesystem;

// What a test started; it ends with it.
class Instance {
  public:
    explicit Instance(StartedCluster started) : started_(std::move(started)) {}
    ~Instance() {
        ::kill(started_.process, SIGINT);
        ::waitpid(started_.process, nullptr, 0);
    }
    Instance(const Instance&) = delete;
    Instance& operator=(const Instance&) = delete;
    std::string value(const std::string& sql) const {
        Connection connection({.conninfo = started_.connection + " user=postgres"});
        return connection.query_value(sql).value_or("");
    }
    void execute(const std::string& sql) const {
        Connection connection({.conninfo = started_.connection + " user=postgres"});
        connection.execute(sql);
    }

  private:
    const StartedCluster started_;
};

// The source is "orders". It starts with what its server has; nothing is stored yet.
class ProtectedCluster {
  public:
    explicit ProtectedCluster(int version)
        : server({.version = version, .settings = "wal_keep_size = '1GB'\n"}) {
        RepositoryAccess access;
        access.url = "file://" + server.make_directory("repository");
        access.passphrase = text_secret("open sesame");
        access.cache_directory = server.make_directory("own-cache");
        const CreateResult created = create_repository_at(access, {}, silent_logger());
        key_file_ = server.make_directory("config") + "/key";
        std::ofstream(key_file_) << created.recovery_text;
        fs::permissions(key_file_, fs::perms::owner_read | fs::perms::owner_write);
        open_ = open_repository(access, silent_logger());
        // What the server runs must be where its user may go.
        program_ = server.make_directory("bin") + "/holdfast";
        fs::copy_file(HOLDFAST_PROGRAM, program_);
        configuration_ = server.make_directory("config") + "/it's %f.toml";
        std::ofstream(configuration_) << fmt::format("repository = '{}'\nkey_file = '{}'\ncache_directory = "
                                                     "'{}'\n[source.orders]\nkind = 'postgresql'\n"
                                                     "spool_directory = '{}'\n",
                                                     access.url, key_file_, server.make_directory("cache"),
                                                     server.make_directory("spool"));
    }

    Snapshot back_up() {
        PostgresBackup what;
        what.run.source = "orders";
        what.connection = server.conninfo();
        what.data_directory = server.data_directory();
        what.spool_directory = server.make_directory("own-spool");
        Progress progress;
        return back_up_postgres(*open_.repository, what, progress, {}).report.snapshot;
    }
    // All log, to the end of the segment.
    void push() {
        const std::string last = server.query_value("SELECT pg_walfile_name(pg_current_wal_lsn())");
        server.execute("SELECT pg_switch_wal()");
        PushSettings settings;
        settings.source = "orders";
        settings.spool_directory = server.make_directory("own-spool");
        for (const std::string& name : holdfast::test::wal_segments(server.data_directory())) {
            if (name <= last)
                push_wal(*open_.repository, server.data_directory() + "/pg_wal/" + name, settings, {});
        }
    }

    // A path beside the data directory where nothing is yet.
    std::string new_place(const std::string& what) {
        const std::string place = server.make_directory(fmt::format("{}{}", what, ++places_));
        fs::remove(place);
        return place;
    }
    // To a new directory, not started.
    PostgresRestore restore(RecoveryTarget target = RecoverToEnd{}, bool inclusive = true) {
        PostgresRestore what;
        what.source = "orders";
        what.target = new_place("restored");
        what.request.target = std::move(target);
        what.request.inclusive = inclusive;
        what.fetch_command = {program_, "--quiet", "--config", configuration_, "wal", "fetch", "orders"};
        return what;
    }
    PostgresRestoreResult run(PostgresRestore what, bool start = true) {
        give();
        if (start) {
            if (!what.start) what.start.emplace();
            what.start->bin_directory = holdfast::test::postgres_programs(server.version());
        }
        Progress progress;
        return restore_postgres(*open_.repository, what, progress, {});
    }
    Error refusal(const PostgresRestore& what, bool start = false) {
        try {
            run(what, start);
        } catch (const Error& error) {
            return error;
        }
        return {ErrorCode::internal, "it was not refused"};
    }
    // The program itself, with the configuration of this source.
    holdfast::test::ProgramRun run_program(std::vector<std::string> arguments) {
        give();
        std::vector<std::string> words{program_, "--config", configuration_};
        words.insert(words.end(), arguments.begin(), arguments.end());
        return holdfast::test::run_program(
            words, {.environment = {{"XDG_STATE_HOME", server.make_directory("state")}}});
    }
    StartedCluster start(const PostgresRestoreResult& restored) {
        StartSettings settings;
        settings.data_directory = restored.restored->data_directory;
        settings.version = restored.version;
        settings.bin_directory = holdfast::test::postgres_programs(server.version());
        Progress progress;
        return start_cluster(settings, progress, {});
    }
    Repository& repository() { return *open_.repository; }
    const std::string& configuration() const { return configuration_; }

    PostgresServer server;

  private:
    // As it is where the server's user may read it.
    void give() {
        PostgresServer::give(fs::path(server.data_directory()).parent_path() / "repository");
        PostgresServer::give(fs::path(configuration_).parent_path());
    }

    OpenRepository open_;
    std::string program_, configuration_, key_file_;
    int places_ = 0;
};

} // namespace holdfast::postgres::test
