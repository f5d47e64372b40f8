#include "support/protected_source.h"

#include "base/log.h"
#include "support/wal_directory.h"

#include <csignal>
#include <filesystem>
#include <fstream>

#include <fmt/format.h>
#include <sys/wait.h>

namespace holdfast::test {

namespace fs = std::filesystem;

ProtectedSource::ProtectedSource(std::string name, const std::string& settings, const RepositoryPlace& place)
    : name_(std::move(name)) {
    for (const char* folder :
         {"repository", "config", "bin", "cache", "spool", "own-cache", "own-spool", "state"})
        fs::create_directory(directory_ / folder);
    RepositoryAccess access;
    access.url = place.url.empty() ? "file://" + repository_directory() : place.url;
    access.store = place.store;
    access.passphrase = Secret::copy_of(as_bytes("open sesame"));
    access.cache_directory = directory_ / "own-cache";
    const CreateResult created = create_repository_at(access, {}, silent_logger());
    std::ofstream(key_file()) << created.recovery_text;
    fs::permissions(key_file(), fs::perms::owner_read | fs::perms::owner_write);
    open_ = open_repository(access, silent_logger());
    program_ = directory_ / "bin/holdfast";
    fs::copy_file(HOLDFAST_PROGRAM, program_);
    std::ofstream(configuration_file())
        << fmt::format("repository = '{}'\nkey_file = '{}'\ncache_directory = '{}'\n{}[source.{}]\n"
                       "kind = 'postgresql'\nspool_directory = '{}'\n{}",
                       access.url, key_file(), directory_ / "cache", place.configuration, name_,
                       program_spool_directory(), settings);
    PostgresServer::give(directory_.path());
}

PostgresBackup ProtectedSource::backup_of(const PostgresServer& server) const {
    PostgresBackup what;
    what.run.source = name_;
    what.run.host = "test";
    what.connection = server.conninfo();
    what.data_directory = server.data_directory();
    what.spool_directory = spool_directory();
    return what;
}

PostgresBackupResult ProtectedSource::back_up(const PostgresBackup& what, std::stop_token stop) const {
    Progress progress;
    return back_up_postgres(repository(), what, progress, std::move(stop));
}

postgres::PushSettings ProtectedSource::push_settings() const {
    postgres::PushSettings settings;
    settings.source = name_;
    settings.spool_directory = spool_directory();
    return settings;
}

void ProtectedSource::push(const PostgresServer& server) const {
    const std::string last = server.query_value("SELECT pg_walfile_name(pg_current_wal_lsn())");
    const auto timeline = static_cast<postgres::TimelineId>(std::stoul(last.substr(0, 8), nullptr, 16));
    server.execute("SELECT pg_switch_wal()");
    for (const std::string& name : wal_segments(server.data_directory(), timeline)) {
        if (name <= last)
            push_wal(repository(), server.data_directory() + "/pg_wal/" + name, push_settings(), {});
    }
}

PostgresRestore ProtectedSource::restore_to(postgres::RecoveryTarget target, bool inclusive) {
    PostgresRestore what;
    what.source = name_;
    what.target = new_place("restored");
    what.request.target = std::move(target);
    what.request.inclusive = inclusive;
    what.fetch_command = {program_, "--quiet", "--config", configuration_file(), "wal", "fetch", name_};
    what.sync = false;
    return what;
}

PostgresRestoreResult ProtectedSource::restore(const PostgresRestore& what) const {
    hand_over();
    Progress progress;
    return restore_postgres(repository(), what, progress, {});
}

Error ProtectedSource::refusal(const PostgresRestore& what) const {
    try {
        restore(what);
    } catch (const Error& error) {
        return error;
    }
    return {ErrorCode::internal, "it was not refused"};
}

postgres::StartedCluster ProtectedSource::start(const PostgresRestoreResult& restored) {
    postgres::StartSettings settings;
    settings.data_directory = restored.restored->data_directory;
    settings.version = restored.version;
    settings.bin_directory = postgres_programs(restored.version);
    Progress progress;
    return postgres::start_cluster(settings, progress, {});
}

std::unique_ptr<PostgresServer> ProtectedSource::recover(const PostgresRestore& what) const {
    const PostgresRestoreResult result = restore(what);
    auto server = PostgresServer::over(what.target, {.version = result.version});
    server->start();
    server->wait_until_writable();
    return server;
}

std::string ProtectedSource::new_place(const std::string& what) {
    return directory_ / fmt::format("{}{}", what, ++places_);
}

ProgramRun ProtectedSource::run_program(const std::vector<std::string>& arguments) const {
    hand_over();
    std::vector<std::string> words{program_, "--config", configuration_file()};
    words.insert(words.end(), arguments.begin(), arguments.end());
    return test::run_program(words, {.environment = {{"XDG_STATE_HOME", directory_ / "state"}}});
}

void ProtectedSource::hand_over() const {
    PostgresServer::give(repository_directory());
    PostgresServer::give(directory_ / "config");
}

Instance::~Instance() {
    ::kill(started_.process, SIGINT);
    ::waitpid(started_.process, nullptr, 0);
}

postgres::Connection Instance::connect() const {
    return postgres::Connection({.conninfo = started_.connection + " user=postgres"});
}

std::string Instance::value(const std::string& sql) const { return connect().query_value(sql).value_or(""); }

void Instance::execute(const std::string& sql) const { connect().execute(sql); }

} // namespace holdfast::test
