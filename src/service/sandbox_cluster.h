// A PostgreSQL cluster for a minute: made, started, written to, and gone with its owner.
#pragma once

#include "base/log.h"
#include "postgres/recovery/server_log.h"
#include "postgres/server/connection.h"

#include <memory>
#include <stop_token>
#include <string>

#include <sys/types.h>

namespace holdfast {

class SandboxCluster {
  public:
    // Makes a cluster in `directory`, which must exist and be empty, with the newest PostgreSQL of this
    // machine, and starts a server that listens on a socket there alone. As root it runs as the user
    // postgres, to whom `directory` is given, and who must be able to reach it. Throws Error(unsupported)
    // where there is no PostgreSQL, or no such user, and Error(usage) where no socket can be made. The
    // calling thread must outlive it: the server ends with that.
    SandboxCluster(const std::string& directory, Logger& logger, const std::stop_token& stop);
    ~SandboxCluster();
    SandboxCluster(const SandboxCluster&) = delete;
    SandboxCluster& operator=(const SandboxCluster&) = delete;

    const std::string& connection() const { return conninfo_; }
    const std::string& data_directory() const { return data_directory_; }
    // Commits something, and ends the segment of the log that it is in. Returns the path of that.
    std::string write_a_segment();

  private:
    void make(const std::string& programs, const std::stop_token& stop);
    void start(const std::string& program, const std::stop_token& stop);
    void end() noexcept;
    [[noreturn]] void fail(const std::string& what);

    Logger& logger_;
    std::string data_directory_, conninfo_;
    postgres::ServerLog log_; // of initdb and the server
    std::unique_ptr<postgres::Connection> connection_;
    pid_t process_ = 0; // of the server; 0: none
};

} // namespace holdfast
