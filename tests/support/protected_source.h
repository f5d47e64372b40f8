// A repository on disk, and what it takes to protect a test server's cluster in it and to get it back: key,
// configuration, and a copy of the program where servers may run it.
#pragma once

#include "base/error.h"
#include "postgres/archive/wal_push.h"
#include "service/back_up_postgres.h"
#include "service/open_repository.h"
#include "service/restore_postgres.h"
#include "support/postgres_server.h"

#include <filesystem>
#include <map>
#include <memory>
#include <stop_token>
#include <string>
#include <vector>

namespace holdfast::test {

// A server that the product started; it ends with this.
class Instance {
  public:
    explicit Instance(postgres::StartedCluster started) : started_(std::move(started)) {}
    ~Instance();
    Instance(const Instance&) = delete;
    Instance& operator=(const Instance&) = delete;
    std::string value(const std::string& sql) const;
    void execute(const std::string& sql) const;

  private:
    postgres::Connection connect() const;
    const postgres::StartedCluster started_;
};

// Where a repository is to be that is not on disk, as tests and as the configuration have it.
struct RepositoryPlace {
    std::string url;
    StoreSettings store{};
    std::string configuration{}; // lines of tables that lead there
};

// The repository is opened once; what other programs store in it meanwhile is seen.
class ProtectedSource {
  public:
    // Makes the repository. `name` is that of the source, `settings` are more lines about it in the
    // configuration. On disk, unless `place` is another.
    explicit ProtectedSource(std::string name = "orders", const std::string& settings = {},
                             const RepositoryPlace& place = {});

    const std::string& name() const { return name_; }
    Repository& repository() const { return *open_.repository; }

    // Of `server`, beside it; may be changed before it is run.
    PostgresBackup backup_of(const PostgresServer& server) const;
    PostgresBackupResult back_up(const PostgresBackup& what, std::stop_token stop = {}) const;
    PostgresBackupResult back_up(const PostgresServer& server) const { return back_up(backup_of(server)); }
    // For pushing log.
    postgres::PushSettings push_settings() const;
    // All log of `server` on its present timeline, to the end of the segment.
    void push(const PostgresServer& server) const;

    // To a new place, not started, whose fetch command any server of these tests can run.
    PostgresRestore restore_to(postgres::RecoveryTarget target, bool inclusive = true);
    PostgresRestoreResult restore(const PostgresRestore& what) const;
    // Why `restore` is refused.
    Error refusal(const PostgresRestore& what) const;
    // A server over what was restored, when it accepts writes, to be ended by an Instance.
    static postgres::StartedCluster start(const PostgresRestoreResult& restored);
    // The same, and a server of the tests over it, when it has recovered and accepts writes.
    std::unique_ptr<PostgresServer> recover(const PostgresRestore& what) const;
    // The program itself, with the configuration of this source.
    ProgramRun run_program(const std::vector<std::string>& arguments) const;

    // A path below the folder of this source, of which nothing is there yet.
    std::string new_place(const std::string& what);
    std::string repository_directory() const { return directory_ / "repository"; }
    std::string key_file() const { return directory_ / "config/key"; }
    std::string configuration_file() const { return directory_ / "config/it's %f.toml"; }
    std::string spool_directory() const { return directory_ / "own-spool"; }
    // Where programs that are run with the configuration are told to have their spools, and what they made of
    // it for this repository.
    std::string program_spool_directory() const { return directory_ / "spool"; }
    std::string used_spool_directory() const {
        std::error_code none;
        const std::filesystem::directory_iterator found(program_spool_directory(), none);
        return found == std::filesystem::directory_iterator() ? program_spool_directory()
                                                              : found->path().string();
    }
    const std::string& program() const { return program_; }
    // Makes what the repository and the configuration have by now readable to the user that servers run as.
    void hand_over() const;

  private:
    const std::string name_;
    TemporaryDirectory directory_;
    OpenRepository open_;
    std::string program_;
    int places_ = 0;
};

// A source and the server that is protected as it; nothing is stored yet.
class ProtectedCluster : public ProtectedSource {
  public:
    explicit ProtectedCluster(int version)
        : server({.version = version, .settings = "wal_keep_size = '1GB'\n"}) {}

    Snapshot back_up() const { return ProtectedSource::back_up(server).report.snapshot; }
    void push() const { ProtectedSource::push(server); }
    PostgresRestore restore_to(postgres::RecoveryTarget target = postgres::RecoverToEnd{},
                               bool inclusive = true) {
        return ProtectedSource::restore_to(std::move(target), inclusive);
    }
    // Also starts a server over it.
    PostgresRestoreResult run(const PostgresRestore& what) const { return restore(started(what)); }
    Error refusal_to_run(const PostgresRestore& what) const { return refusal(started(what)); }

    PostgresServer server;

  private:
    PostgresRestore started(PostgresRestore what) const {
        if (!what.start) what.start.emplace();
        what.start->bin_directory = postgres_programs(server.version());
        return what;
    }
};

// The `Cluster` of this version, a kind of ProtectedCluster that is made when it is first asked for and
// stays.
template <typename Cluster>
Cluster& shared_cluster(int version) {
    static std::map<int, std::unique_ptr<Cluster>> clusters;
    auto& cluster = clusters[version];
    if (!cluster) cluster = std::make_unique<Cluster>(version);
    return *cluster;
}

} // namespace holdfast::test
