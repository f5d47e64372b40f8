// A repository on disk, and what it takes to protect a test server's cluster in it and to get it back: key,
// configuration, and a copy of the program where servers may run it.
#pragma once

#include "postgres/archive/wal_push.h"
#include "service/back_up_postgres.h"
#include "service/open_repository.h"
#include "service/restore_postgres.h"
#include "support/postgres_server.h"

#include <filesystem>

namespace holdfast::test {

// The repository is opened once; what other programs store in it meanwhile is seen.
class ProtectedSource {
  public:
    // Makes the repository. `name` is that of the source, `settings` are more lines about it in the
    // configuration.
    explicit ProtectedSource(std::string name = "orders", const std::string& settings = {});

    const std::string& name() const { return name_; }
    Repository& repository() const { return *open_.repository; }

    // Of `server`, beside it; may be changed before it is run.
    PostgresBackup backup_of(const PostgresServer& server) const;
    PostgresBackupResult back_up(const PostgresBackup& what) const;
    PostgresBackupResult back_up(const PostgresServer& server) const { return back_up(backup_of(server)); }
    // For pushing log.
    postgres::PushSettings push_settings() const;

    // To a new place, not started, whose fetch command any server of these tests can run.
    PostgresRestore restore_to(postgres::RecoveryTarget target);
    PostgresRestoreResult restore(const PostgresRestore& what) const;
    // The same, and a server of the tests over it, when it has recovered and accepts writes.
    std::unique_ptr<PostgresServer> recover(const PostgresRestore& what) const;

    // A path below the folder of this source, of which nothing is there yet.
    std::string new_place(const std::string& what);
    std::string repository_directory() const { return directory_ / "repository"; }
    std::string key_file() const { return directory_ / "config/key"; }
    std::string configuration_file() const { return directory_ / "config/it's %f.toml"; }
    std::string spool_directory() const { return directory_ / "own-spool"; }
    // Of programs that are run with the configuration.
    // Where programs are told to have their spools, and what they made of it for this repository.
    std::string program_spool_directory() const { return directory_ / "spool"; }
    std::string used_spool_directory() const {
        std::error_code none;
        const std::filesystem::directory_iterator found(program_spool_directory(), none);
        return found == std::filesystem::directory_iterator() ? program_spool_directory()
                                                              : found->path().string();
    }
    const std::string& program() const { return program_; }
    // Makes what the repository has by now readable to the user that servers run as.
    void hand_over() const;

  private:
    const std::string name_;
    TemporaryDirectory directory_;
    OpenRepository open_;
    std::string program_;
    int places_ = 0;
};

} // namespace holdfast::test
