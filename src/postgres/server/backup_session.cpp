#include "postgres/server/backup_session.h"

#include "postgres/server/row.h"

#include <fmt/format.h>

namespace holdfast::postgres {

namespace {

constexpr std::string_view object_not_in_state = "55000";
constexpr int functions_renamed_in = 150000;

Error no_full_pages(const std::string& place) {
    return Error(
        ErrorCode::unsupported,
        fmt::format(
            "{} is a standby of a primary that writes its log with full_page_writes off: a backup taken "
            "here could not be repaired",
            place),
        "on the primary run: ALTER SYSTEM SET full_page_writes = on; SELECT pg_reload_conf(); CHECKPOINT; "
        "then wait "
        "for the standby to replay it");
}

} // namespace

BackupTimedOut::BackupTimedOut(std::string_view place, std::string_view what, Duration limit, HeldUp held_up)
    : Error(ErrorCode::timed_out,
            fmt::format("{}: {} took longer than {} s: {}", place, what,
                        std::chrono::ceil<std::chrono::seconds>(limit).count(), held_up.str()),
            "end the sessions that hold it, or give it more time; the attempt was stopped and can be made "
            "again",
            true),
      held_up_(std::move(held_up)) {}

BackupSession::BackupSession(const ConnectionSettings& settings, BackupOptions options, std::stop_token stop,
                             Logger& logger)
    : options_(std::move(options)), logger_(&logger), connection_(settings, stop, logger) {
    if (options_.label.find('\n') != std::string::npos)
        throw Error(ErrorCode::usage, "a backup's label has a line break", "choose a label of one line");
    on_standby_ = connection_.query_value("SELECT pg_is_in_recovery()", {}, stop) == "t";
    if (on_standby_) refuse_without_full_pages(connection_, stop);
    const Parameters parameters{options_.label, options_.fast_checkpoint ? "true" : "false"};
    const QueryResult result = within_limit(connection_.server_version() >= functions_renamed_in
                                                ? "SELECT pg_backup_start($1, $2) AS start"
                                                : "SELECT pg_start_backup($1, $2, false) AS start",
                                            parameters, "starting a backup", stop);
    start_ = only_row(result).lsn("start").value_or(Lsn{});
    logger.info("backup_started",
                {{"server", connection_.place()}, {"start", start_.str()}, {"standby", on_standby_}});
}

void refuse_without_full_pages(Connection& connection, const std::stop_token& stop) {
    if (connection.query_value("SELECT full_page_writes FROM pg_control_checkpoint()", {}, stop) == "f")
        throw no_full_pages(connection.place());
}

HeldUp look_at_holders(const ConnectionSettings& settings, int pid, const std::stop_token& stop,
                       Logger& logger) {
    try {
        Connection connection(settings, stop, logger);
        return who_holds_up(connection, pid, stop);
    } catch (const ServerError& error) {
        logger.warning("holders_unknown", {{"process", pid}, {"reason", error.message()}});
        return {};
    }
}

QueryResult BackupSession::within_limit(std::string_view sql, const Parameters& parameters,
                                        std::string_view what, const std::stop_token& stop) {
    HeldUp held_up;
    const auto look = [&] {
        held_up = look_at_holders(connection_.settings(), connection_.backend_pid(), stop, *logger_);
    };
    std::optional<QueryResult> result = connection_.query_within(options_.limit, sql, parameters, look, stop);
    if (result) return std::move(*result);
    throw BackupTimedOut(connection_.place(), what, options_.limit, held_up);
}

namespace {

void refuse_promoted(Connection& connection, bool on_standby, const std::stop_token& stop) {
    const bool in_recovery = connection.query_value("SELECT pg_is_in_recovery()", {}, stop) == "t";
    if (on_standby && !in_recovery) {
        throw Error(
            ErrorCode::unavailable,
            fmt::format("{} was promoted during a backup, which is void therefore", connection.place()),
            "take the backup again", true);
    }
}

} // namespace

void BackupSession::check(std::stop_token stop) { refuse_promoted(connection_, on_standby_, stop); }

BackupStop BackupSession::finish(std::stop_token stop) {
    if (finished_) throw Error(ErrorCode::internal, "a backup session was finished twice");
    finished_ = true;
    QueryResult result;
    try {
        result = within_limit(connection_.server_version() >= functions_renamed_in
                                  ? "SELECT lsn, labelfile, spcmapfile FROM pg_backup_stop(false)"
                                  : "SELECT lsn, labelfile, spcmapfile FROM pg_stop_backup(false, false)",
                              {}, "stopping a backup", stop);
    } catch (const ServerError& error) {
        explain_failed_backup(connection_, on_standby_, error, stop);
    }
    const Row row = only_row(result);
    BackupStop end{
        row.lsn("lsn").value_or(Lsn{}), row.text("labelfile"), row.text_or_empty("spcmapfile"), {}};
    end.label = parse_backup_label(end.label_text);
    if (end.label.start != start_ || end.stop < start_) {
        throw Error(ErrorCode::internal,
                    fmt::format("a backup that began at {} ended at {} with a label for {}", start_.str(),
                                end.stop.str(), end.label.start.str()));
    }
    logger_->info("backup_stopped", {{"server", connection_.place()}, {"stop", end.stop.str()}});
    return end;
}

// What the server says is in its language; what it means follows from what it is now.
void explain_failed_backup(Connection& connection, bool on_standby, const ServerError& error,
                           const std::stop_token& stop) {
    if (on_standby && error.sqlstate() == object_not_in_state) {
        refuse_promoted(connection, on_standby, stop);
        throw no_full_pages(connection.place());
    }
    throw error;
}

} // namespace holdfast::postgres
