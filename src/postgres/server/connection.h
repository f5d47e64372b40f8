// A connection to a PostgreSQL server.
#pragma once

#include "base/clock.h"
#include "base/log.h"
#include "postgres/server/server_error.h"
#include "postgres/server/socket_wait.h"

#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

struct pg_conn;   // libpq's PGconn
struct pg_result; // libpq's PGresult

namespace holdfast::postgres {

struct ConnectionSettings {
    // A connection string or URI as libpq takes it. Passwords in it are never logged nor part of a message.
    std::string conninfo{};
    // Physical replication: takes the commands of the replication protocol instead of SQL.
    bool replication = false;
    // How the session shows in pg_stat_activity and counts for synchronous_standby_names. Empty: what the
    // connection string says, or "holdfast".
    std::string application_name{};
    // A limit for each attempt to connect, to each host.
    Duration connect_timeout = std::chrono::seconds(15);
    // A limit for each statement, also where the server hangs; 0: none. Not on replication connections.
    Duration statement_timeout{};
    // Only pg_catalog is searched for names, so that nothing a user made can pose as a function of
    // PostgreSQL.
    bool catalog_only = true;
};

// What a query returned. A value is nothing for NULL; all are in PostgreSQL's text form.
struct QueryResult {
    using Row = std::vector<std::optional<std::string>>;
    std::vector<std::string> columns;
    std::vector<Row> rows;

    // The only value of the only row. Throws Error(internal) when that is not the shape.
    const std::optional<std::string>& value() const;
};

using Parameters = std::vector<std::optional<std::string>>;

// One session. Not thread-safe. Notices of the server go to the logger. A stop cancels what the server does
// and ends every wait at once, with Error(cancelled); the connection stays usable when the server answered
// the cancelling.
class Connection {
  public:
    // Connects. Throws ServerError with the server's SQLSTATE, Error(usage) for what is no connection string,
    // Error(access_denied) without a password, (timed_out), (cancelled). `logger` must outlive this.
    explicit Connection(ConnectionSettings settings, std::stop_token stop = {},
                        Logger& logger = silent_logger());
    ~Connection();
    Connection(Connection&&) noexcept;
    Connection& operator=(Connection&&) noexcept;

    // Runs statements (several, separated by semicolons, are one transaction unless they say otherwise) and
    // drops what they return.
    void execute(std::string_view sql, std::stop_token stop = {});
    // Runs one statement; $1 … are `parameters`. On replication connections there can be no parameters.
    QueryResult query(std::string_view sql, const Parameters& parameters = {}, std::stop_token stop = {});
    std::optional<std::string> query_value(std::string_view sql, const Parameters& parameters = {},
                                           std::stop_token stop = {});
    // As query, but past `limit` (0: none) calls `past_limit`, while the statement still waits, then has the
    // server cancel it and returns nothing. A statement that ends in between returns its rows.
    std::optional<QueryResult> query_within(Duration limit, std::string_view sql,
                                            const Parameters& parameters,
                                            const std::function<void()>& past_limit,
                                            std::stop_token stop = {});

    // 130023 for 13.23.
    int server_version() const;
    int backend_pid() const;
    // A setting that the server reports by itself, such as "in_hot_standby" (14 and later) or
    // "server_version".
    std::optional<std::string> reported_setting(const char* name) const;
    // Whether it still seems to be connected, as far as is known without asking.
    bool connected() const;
    // "user@host:port/database", without a password: for messages.
    const std::string& place() const { return place_; }
    const ConnectionSettings& settings() const { return settings_; }

    std::string quote_literal(std::string_view text) const;
    std::string quote_identifier(std::string_view name) const;

    // For streaming, in this folder only. Valid as long as the connection is.
    pg_conn* handle() const { return connection_.get(); }
    // Sends what is still queued. Waits without limit but for `wake`'s stop. Throws ServerError when the peer
    // is gone.
    void flush(const StopWake& wake, const Deadline& deadline = {});
    // The next result of what was sent last, null when there is none. Waits.
    struct FreeResult {
        void operator()(pg_result* result) const;
    };
    using Result = std::unique_ptr<pg_result, FreeResult>;
    Result next_result(const StopWake& wake, const Deadline& deadline = {});
    // Asks the server to give up what it does, and does not wait for its answer: the connection is of no
    // further use.
    void ask_to_cancel() noexcept;
    // Throws what `result` or, when it is null, the connection reports.
    [[noreturn]] void fail(std::string_view what, const pg_result* result) const;

  private:
    struct Close {
        void operator()(pg_conn* connection) const;
    };
    void connect(const std::stop_token& stop);
    void prepare_session(const std::stop_token& stop);
    // Asks the server to give up, and takes what it then says: the rows, when it was done before. Drops the
    // connection when it does not answer.
    std::vector<Result> cancel();
    void send(std::string_view sql, const Parameters* parameters);
    // Takes all results of what was sent; throws what they report.
    std::vector<Result> take_results(const StopWake& wake, const Deadline& deadline);
    std::vector<Result> run(std::string_view sql, const Parameters* parameters, const std::stop_token& stop);

    ConnectionSettings settings_;
    Logger* logger_;
    std::string place_;
    std::unique_ptr<pg_conn, Close> connection_;
};

} // namespace holdfast::postgres
