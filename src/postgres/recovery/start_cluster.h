// A server started over a restored cluster, and followed until it has recovered.
#pragma once

#include "base/error.h"
#include "base/progress.h"
#include "postgres/files/control_file.h"
#include "postgres/files/recovery_settings.h"

#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#include <sys/types.h>

namespace holdfast::postgres {

struct StartSettings {
    std::string data_directory{};
    int version = 0;
    std::string bin_directory{};    // of the server's programs; empty: looked for
    std::uint16_t port = 5432;      // with a socket directory of its own only part of a name
    std::string socket_directory{}; // empty: the data directory, or /tmp when that is too long for a socket
    std::string listen_addresses{}; // empty: no network
    // Limits, 0 for none: memory that the server's own settings are made to fit into, processors, and how
    // much it stands back behind other processes (0 to 19).
    std::uint64_t memory_bytes = 0;
    unsigned processors = 0;
    int niceness = 0;
    std::vector<std::pair<std::string, std::string>> settings{}; // more of them, which win
    std::string log_file{}; // empty: holdfast-recovery.log in the data directory
    // What the recovery was told, and what it was planned to read, for progress.
    TargetAction action = TargetAction::promote;
    bool standby = false;
    Lsn log_begin{};
    Lsn log_end{};
    // Has it ended before this position, it counts as failed. 0: PostgreSQL's word is enough.
    Lsn must_reach{};
};

struct StartedCluster {
    // What had to be higher than the restored configuration says, because the original had raised it since:
    // without it a server that is to answer queries while it recovers does not recover.
    std::vector<std::pair<std::string, std::string>> raised;
    pid_t process = 0; // a child of this process, which goes on when this one ends; 0: it shut down
    std::string socket_directory;
    std::uint16_t port = 0;
    std::string connection; // a connection string, for the database "postgres"
    std::string log_file;
    bool writable = false;       // it was promoted; else it is a standby, or paused at the target
    TimelineId timeline = 0;     // that it began; 0 when it did not
    Lsn recovered_to;            // where that timeline begins; 0 when it did not
    std::string last_commit;     // the time of the last transaction that came back, as the server told it
    double start_seconds = 0;    // from the command to the first record
    double recovery_seconds = 0; // to the last record
    double ready_seconds = 0;    // to accepting queries
};

// The server could not be started, or did not reach its target. It has ended.
class StartFailed final : public Error {
  public:
    StartFailed(ErrorCode code, const std::string& message, const std::string& hint, std::string log);
    // The end of what the server said.
    const std::string& log() const noexcept { return log_; }

  private:
    std::string log_;
};

// Returns when it accepts queries; with TargetAction::pause when it pauses at the target, with
// TargetAction::shutdown when it has shut down there. A stop ends the server. Throws StartFailed; code
// not_found: the log ended before the target was reached.
//
// Settings on its command line keep it to itself as long as it runs: no network but what was asked for, no
// archiving, no subscriptions. Throws Error(usage) for less memory than a server needs. A configuration that
// is not in the data directory is made up there.
StartedCluster start_cluster(const StartSettings& settings, Progress& progress, std::stop_token stop);

} // namespace holdfast::postgres
