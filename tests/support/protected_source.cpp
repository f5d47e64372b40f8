#include "support/protected_source.h"

#include "base/log.h"

#include <filesystem>
#include <fstream>

#include <fmt/format.h>

namespace holdfast::test {

namespace fs = std::filesystem;

ProtectedSource::ProtectedSource(std::string name) : name_(std::move(name)) {
    for (const char* folder : {"repository", "config", "bin", "cache", "spool", "own-cache", "own-spool"})
        fs::create_directory(directory_ / folder);
    RepositoryAccess access;
    access.url = "file://" + repository_directory();
    access.passphrase = Secret::copy_of(as_bytes("open sesame"));
    access.cache_directory = directory_ / "own-cache";
    const CreateResult created = create_repository_at(access, {}, silent_logger());
    std::ofstream(key_file()) << created.recovery_text;
    fs::permissions(key_file(), fs::perms::owner_read | fs::perms::owner_write);
    open_ = open_repository(access, silent_logger());
    program_ = directory_ / "bin/holdfast";
    fs::copy_file(HOLDFAST_PROGRAM, program_);
    std::ofstream(configuration_file())
        << fmt::format("repository = '{}'\nkey_file = '{}'\ncache_directory = '{}'\n[source.{}]\n"
                       "kind = 'postgresql'\nspool_directory = '{}'\n",
                       access.url, key_file(), directory_ / "cache", name_, directory_ / "spool");
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

PostgresBackupResult ProtectedSource::back_up(const PostgresBackup& what) const {
    Progress progress;
    return back_up_postgres(repository(), what, progress, {});
}

postgres::PushSettings ProtectedSource::push_settings() const {
    postgres::PushSettings settings;
    settings.source = name_;
    settings.spool_directory = spool_directory();
    return settings;
}

PostgresRestore ProtectedSource::restore_to(postgres::RecoveryTarget target) {
    PostgresRestore what;
    what.source = name_;
    what.target = new_place("restored");
    what.request.target = std::move(target);
    what.fetch_command = {program_, "--quiet", "--config", configuration_file(), "wal", "fetch", name_};
    what.sync = false;
    return what;
}

PostgresRestoreResult ProtectedSource::restore(const PostgresRestore& what) const {
    hand_over();
    Progress progress;
    return restore_postgres(repository(), what, progress, {});
}

std::string ProtectedSource::new_place(const std::string& what) {
    return directory_ / fmt::format("{}{}", what, ++places_);
}

void ProtectedSource::hand_over() const { PostgresServer::give(repository_directory()); }

} // namespace holdfast::test
