// Real PostgreSQL servers for tests, of the versions that scripts/servers/postgres-versions.sh provides. They
// run as the user postgres when the tests run as root (PostgreSQL refuses root), listen on a Unix socket
// alone, and are gone, with their files, when their owner is.
#pragma once

#include "postgres/server/connection.h"
#include "support/run_program.h"
#include "support/temporary_directory.h"

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace holdfast::test {

// For INSTANTIATE_TEST_SUITE_P: 13, 15, 17 and 18, or those that HOLDFAST_TEST_POSTGRES_VERSIONS names ("14
// 16").
std::vector<int> versions_to_test();
inline const std::vector<int> postgres_versions = versions_to_test();
// Whether there are all programs of a version, and contrib; else postgres, initdb and pg_ctl only.
bool has_all_programs(int version);

// The folder of a version's programs. Throws std::runtime_error with what the script said when the version
// cannot be had: tests must then fail.
const std::string& postgres_programs(int version);

struct PostgresOptions {
    int version = 15;
    bool checksums = true;
    unsigned wal_segment_mib = 16;
    std::string locale = "C";
    std::uint16_t port = 5432; // of its socket, and where it is told to listen
    // More lines of postgresql.conf, such as "wal_level = minimal\nmax_wal_senders = 0\n".
    std::string settings{};
    bool start = true;
};

enum class PostgresStop {
    fast,      // disconnects all, checkpoint
    immediate, // as a crash: recovery at the next start
    kill,      // kill -9 of all its processes
};

// Not thread-safe. Must be started from a thread that outlives the running server: the server stops with it.
class PostgresServer {
  private:
    struct OverDirectory {};

  public:
    // Makes a cluster (superuser "postgres", trusted without password) and starts it. Throws
    // std::runtime_error with the server's log when that fails.
    explicit PostgresServer(PostgresOptions options = {});
    ~PostgresServer();
    PostgresServer(const PostgresServer&) = delete;
    PostgresServer& operator=(const PostgresServer&) = delete;

    // A server over a folder that holds a data directory, such as a restored backup, which it takes ownership
    // of (chown and mode, nothing else). Its own socket folder and settings are given on the command line.
    // Not started.
    static std::unique_ptr<PostgresServer> over(const std::string& data_directory, PostgresOptions options);
    // Makes the server's user the owner of a folder and all in it.
    static void give(const std::string& directory);
    // A running standby of `primary`, streaming from it; through `slot`, which must exist, when one is named.
    // `copying` are more arguments of pg_basebackup: with tablespaces, where they are to be.
    static std::unique_ptr<PostgresServer> standby_of(PostgresServer& primary, const std::string& slot = {},
                                                      const std::string& settings = {},
                                                      const std::vector<std::string>& copying = {});
    // One server of each version for the whole program, with checksums and default settings, started when it
    // is first asked for; tests that use it clean up behind them.
    static PostgresServer& shared(int version);

    // Returns when it accepts connections (a standby: read-only ones).
    void start();
    // The same without waiting for connections, for servers that are to fail or to stay in recovery.
    void start_without_waiting();
    void wait_until_ready();
    void stop(PostgresStop how = PostgresStop::fast);
    void restart(PostgresStop how = PostgresStop::fast);
    // Whether its process is there.
    bool running();
    // More words for its command line from the next start on, such as {"-b"}.
    void set_arguments(std::vector<std::string> arguments) { arguments_ = std::move(arguments); }
    // Ends recovery, and returns when it accepts writes.
    void promote();
    // Returns when it accepts writes, as a restored server does by itself.
    void wait_until_writable();
    // Returns when this standby has replayed all that `primary` has written.
    void catch_up_with(PostgresServer& primary);

    int version() const { return options_.version; }
    const std::string& data_directory() const { return data_directory_; }
    const std::string& socket_directory() const { return socket_directory_; }
    std::string conninfo(const std::string& database = "postgres",
                         const std::string& user = "postgres") const;
    postgres::Connection connect(const std::string& database = "postgres",
                                 const std::string& user = "postgres") const;
    // On a connection of its own, with the ordinary search path.
    void execute(const std::string& sql, const std::string& database = "postgres") const;
    postgres::QueryResult query(const std::string& sql, const std::string& database = "postgres") const;
    // "" for NULL.
    std::string query_value(const std::string& sql, const std::string& database = "postgres") const;

    // Appends to postgresql.auto.conf; takes effect with reload() or restart().
    void add_settings(const std::string& lines) const;
    // Returns when new sessions go by it.
    void reload() const;
    std::string log() const;
    pid_t process() const;

    // A folder beside the data directory that the server may write, for tablespaces, archives and backups.
    std::string make_directory(const std::string& name) const;
    // Copies the running cluster to `directory` with pg_basebackup (WAL included).
    void base_backup(const std::string& directory, const std::vector<std::string>& arguments = {}) const;
    // Runs a program of this version (or, where 13 lacks it, of 15) as the server's user, with PGHOST, PGPORT
    // and PGUSER set. `tool` may be "pgbench", "pg_checksums", "pg_amcheck" ….
    ProgramRun run_tool(const std::string& tool, const std::vector<std::string>& arguments) const;
    // The same in the background, as for a workload: {"-T", "60", "-c", "4"}.
    std::unique_ptr<RunningProgram> start_tool(const std::string& tool,
                                               const std::vector<std::string>& arguments) const;

    PostgresServer(OverDirectory, std::string data_directory,
                   PostgresOptions options); // for over() and standby_of()

  private:
    void make_places();
    void make_cluster() const;
    void remove_shared_memory() const;
    std::vector<std::string> as_server_user(const std::vector<std::string>& command) const;
    std::vector<std::string> tool_command(const std::string& tool,
                                          const std::vector<std::string>& arguments) const;
    [[noreturn]] void fail(const std::string& what) const;

    PostgresOptions options_;
    TemporaryDirectory directory_;
    std::string data_directory_;
    std::string socket_directory_;
    std::vector<std::string> arguments_;
    std::unique_ptr<RunningProgram> postmaster_;
    pid_t process_ = -1;
};

} // namespace holdfast::test
