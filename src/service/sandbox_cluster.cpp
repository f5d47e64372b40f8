#include "service/sandbox_cluster.h"

#include "base/clock.h"
#include "base/error.h"
#include "postgres/recovery/server_program.h"
#include "postgres/server/conninfo.h"

#include <array>
#include <cerrno>
#include <csignal>
#include <filesystem>

#include <fmt/format.h>
#include <pwd.h>
#include <sys/wait.h>
#include <unistd.h>

namespace holdfast {

namespace {

constexpr Duration patience = std::chrono::minutes(2);
constexpr Duration pause = std::chrono::milliseconds(20);
constexpr const char* user = "postgres";                   // also of the database, whoever it runs as
constexpr std::size_t longest_socket_directory_bytes = 85; // of 107 with the name of the socket

// As root, the user that the packages of PostgreSQL make gets it: no PostgreSQL runs as root.
void give_to_server(const std::string& directory) {
    if (::geteuid() != 0) return;
    passwd entry{};
    passwd* found = nullptr;
    std::array<char, 16384> buffer{};
    ::getpwnam_r(user, &entry, buffer.data(), buffer.size(), &found);
    if (found == nullptr) {
        throw Error(ErrorCode::unsupported,
                    fmt::format("there is no user {}, and no PostgreSQL runs as root", user),
                    "make one (the packages of PostgreSQL do), or run this as another user than root");
    }
    if (::chown(directory.c_str(), found->pw_uid, found->pw_gid) != 0) throw system_error(errno, directory);
}

} // namespace

SandboxCluster::SandboxCluster(const std::string& directory, Logger& logger, const std::stop_token& stop)
    : logger_(logger), data_directory_(directory + "/data"), log_(directory + "/log") {
    if (data_directory_.size() > longest_socket_directory_bytes || data_directory_.contains(',')) {
        throw Error(ErrorCode::usage, fmt::format("no socket can be made in {}", data_directory_),
                    "name a shorter path without a comma");
    }
    const auto server = postgres::newest_server_program();
    if (!server) {
        throw Error(ErrorCode::unsupported, "there is no PostgreSQL on this machine to try this with",
                    "install one (Debian: postgresql); what is protected is not touched by it");
    }
    std::filesystem::create_directory(data_directory_);
    give_to_server(data_directory_);
    give_to_server(directory);
    // What is not said here the environment would say.
    conninfo_ = postgres::to_conninfo({{"host", data_directory_},
                                       {"hostaddr", ""},
                                       {"port", "5432"},
                                       {"dbname", "postgres"},
                                       {"user", user},
                                       {"options", ""}});
    try {
        make(std::filesystem::path(*server).parent_path(), stop);
        start(*server, stop);
    } catch (...) {
        end();
        throw;
    }
}

SandboxCluster::~SandboxCluster() { end(); }

void SandboxCluster::fail(const std::string& what) {
    log_.text();
    std::string why = log_.last_behind("FATAL:  ");
    if (why.empty()) why = log_.last_behind("error: ");
    throw Error(ErrorCode::unavailable, what, fmt::format("it said: {}", why.empty() ? log_.end() : why));
}

void SandboxCluster::make(const std::string& programs, const std::stop_token& stop) {
    process_ =
        postgres::launch_as_owner({.words = {programs + "/initdb", "-D", data_directory_, "-U", user, "-A",
                                             "trust", "-N", "--no-locale", "-E", "UTF8", "--wal-segsize=1"},
                                   .directory = data_directory_,
                                   .log_file = log_.path(),
                                   .ends_with_thread = true});
    std::optional<int> status;
    while (!(status = postgres::ended(process_))) {
        if (!system_clock().sleep_for(pause, stop))
            throw Error(ErrorCode::cancelled, "stopped while a cluster was made");
    }
    process_ = 0;
    if (*status != 0) fail(fmt::format("{}/initdb could not make a cluster", programs));
}

void SandboxCluster::start(const std::string& program, const std::stop_token& stop) {
    process_ = postgres::launch_as_owner(
        {.words = {program, "-D", data_directory_, "-k", data_directory_, "-p", "5432", "-c",
                   "listen_addresses=", "-c", "fsync=off", "-c", "shared_buffers=16MB", "-c",
                   "max_connections=20", "-c", "autovacuum=off"},
         .directory = data_directory_,
         .log_file = log_.path(),
         .ends_with_thread = true});
    const Duration begun = system_clock().steady();
    while (!connection_) {
        if (postgres::ended(process_)) {
            process_ = 0;
            fail("the server of the sandbox ended");
        }
        try {
            connection_ = std::make_unique<postgres::Connection>(
                postgres::ConnectionSettings{.conninfo = conninfo_, .catalog_only = false}, stop, logger_);
        } catch (const Error& error) {
            if (!error.retryable() || system_clock().steady() - begun > patience) throw;
            if (!system_clock().sleep_for(pause, stop))
                throw Error(ErrorCode::cancelled, "stopped while a server was started");
        }
    }
    if (connection_->query_value("SHOW data_directory", {}, stop) != data_directory_)
        throw Error(ErrorCode::internal, "the server that answers is not that of the sandbox");
    connection_->execute("CREATE TABLE written (at timestamptz)", stop);
}

std::string SandboxCluster::write_a_segment() {
    connection_->execute("INSERT INTO written SELECT clock_timestamp()");
    const auto name = connection_->query_value("SELECT pg_walfile_name(pg_switch_wal())");
    return fmt::format("{}/pg_wal/{}", data_directory_, name.value_or(""));
}

void SandboxCluster::end() noexcept {
    connection_.reset();
    if (process_ == 0) return;
    // At once, and without a checkpoint: nobody will start it again.
    ::kill(process_, SIGQUIT);
    int status = 0;
    while (::waitpid(process_, &status, 0) < 0 && errno == EINTR) {
    }
    process_ = 0;
}

} // namespace holdfast
