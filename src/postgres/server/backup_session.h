// The server's side of a physical backup: told to start, and told to stop, by one session that is kept
// between.
//
// While it lasts, the data directory may be read file by file; together with the log from start to stop and
// the label it is a consistent image. When the session ends early, by whatever cause, the server gives the
// backup up by itself.
#pragma once

#include "postgres/files/backup_label.h"
#include "postgres/server/connection.h"
#include "postgres/server/holders.h"

#include <functional>
#include <stop_token>
#include <string>

namespace holdfast::postgres {

struct BackupOptions {
    std::string label = "holdfast"; // without line breaks
    // A checkpoint at once instead of one that is spread over minutes.
    bool fast_checkpoint = true;
    // How long starting, and stopping, may take each; 0: without limit.
    Duration limit = std::chrono::minutes(30);
};

// Starting or stopping took longer than its limit, and was given up.
class BackupTimedOut final : public Error {
  public:
    // `what` was waited for, such as "starting a backup", at `place`.
    BackupTimedOut(std::string_view place, std::string_view what, Duration limit, HeldUp held_up);
    const HeldUp& held_up() const noexcept { return held_up_; }

  private:
    HeldUp held_up_;
};

// For a standby, before a backup: throws Error(unsupported) when its primary runs with full_page_writes off,
// since torn pages could then not be repaired.
void refuse_without_full_pages(Connection& connection, const std::stop_token& stop);
// Throws what `error`, by which the server ended a backup, means: of a standby, that it was promoted
// meanwhile (Error(unavailable, retryable)), or that its primary switched full_page_writes off. `connection`
// can still be asked.
[[noreturn]] void explain_failed_backup(Connection& connection, bool on_standby, const ServerError& error,
                                        const std::stop_token& stop);
// Who holds up the session `pid`, asked over a connection of its own; what hinders that is logged.
HeldUp look_at_holders(const ConnectionSettings& settings, int pid, const std::stop_token& stop,
                       Logger& logger);

struct BackupStop {
    Lsn stop; // the log must be there up to here (exclusive)
    std::string label_text;
    std::string tablespace_map; // empty without tablespaces
    BackupLabel label;
};

// Not thread-safe.
class BackupSession {
  public:
    // Starts a backup over a connection of its own. Throws BackupTimedOut; Error(usage) for a label with a
    // line break; Error(unsupported) on a standby whose primary runs with full_page_writes off, since torn
    // pages could then not be repaired; what connections throw.
    BackupSession(const ConnectionSettings& settings, BackupOptions options, std::stop_token stop = {},
                  Logger& logger = silent_logger());

    // The redo position that recovery will start from: the log is needed from here on.
    Lsn start() const { return start_; }
    bool on_standby() const { return on_standby_; }
    int backend_pid() const { return connection_.backend_pid(); }

    // Throws Error(unavailable) when the session is gone, or the standby was promoted: the backup is then
    // void and its copying can end at once. Cheap; to be called now and then.
    void check(std::stop_token stop = {});
    // Ends the backup. Does not wait until the log is archived. After a throw the backup is void.
    BackupStop finish(std::stop_token stop = {});

  private:
    QueryResult within_limit(std::string_view sql, const Parameters& parameters, std::string_view what,
                             const std::stop_token& stop);

    BackupOptions options_;
    Logger* logger_;
    Connection connection_;
    Lsn start_;
    bool on_standby_ = false;
    bool finished_ = false;
};

} // namespace holdfast::postgres
