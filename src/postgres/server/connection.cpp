#include "postgres/server/connection.h"

#include "postgres/server/libpq_result.h"

#include <array>
#include <chrono>

#include <fmt/format.h>
#include <libpq-fe.h>

namespace holdfast::postgres {

namespace {

// How long a server may take to answer that it has given up what it was asked to cancel.
constexpr auto cancel_patience = std::chrono::seconds(10);

Deadline in(Duration duration) {
    return std::chrono::steady_clock::now() +
           std::chrono::duration_cast<std::chrono::steady_clock::duration>(duration);
}

void log_notice(void* context, const PGresult* notice) {
    const ServerMessage said = message_of(notice);
    static_cast<Logger*>(context)->debug("postgresql_notice",
                                         {{"sqlstate", said.sqlstate}, {"message", said.text}});
}

std::string as_milliseconds(Duration duration) {
    return std::to_string(std::chrono::ceil<std::chrono::milliseconds>(duration).count());
}

} // namespace

const std::optional<std::string>& QueryResult::value() const {
    if (rows.size() != 1 || rows[0].size() != 1) {
        throw Error(ErrorCode::internal,
                    fmt::format("a query returned {} rows of {} columns where one value was expected",
                                rows.size(), columns.size()));
    }
    return rows[0][0];
}

void Connection::Close::operator()(pg_conn* connection) const { PQfinish(connection); }
void Connection::FreeResult::operator()(pg_result* result) const { PQclear(result); }

Connection::Connection(ConnectionSettings settings, std::stop_token stop, Logger& logger)
    : settings_(std::move(settings)), logger_(&logger) {
    connect(stop);
    if (!settings_.replication) prepare_session(stop);
}

Connection::~Connection() = default;
Connection::Connection(Connection&&) noexcept = default;
Connection& Connection::operator=(Connection&&) noexcept = default;

void Connection::connect(const std::stop_token& stop) {
    // The text of libpq for a string that it cannot read may quote parts of a password: it is not shown.
    const std::unique_ptr<PQconninfoOption, decltype(&PQconninfoFree)> options(
        PQconninfoParse(settings_.conninfo.c_str(), nullptr), PQconninfoFree);
    if (!options) {
        throw Error(ErrorCode::usage, "the connection string cannot be read",
                    "write it like \"host=/var/run/postgresql dbname=postgres user=holdfast\" or "
                    "postgresql://user@host:5432/database");
    }
    // What stands before the connection string may be changed by it, what stands after may not.
    const char* application =
        settings_.application_name.empty() ? nullptr : settings_.application_name.c_str();
    const std::array names{"fallback_application_name", "keepalives_idle",
                           "keepalives_interval",       "keepalives_count",
                           "tcp_user_timeout",          "dbname",
                           "client_encoding",           "replication",
                           "application_name",          static_cast<const char*>(nullptr)};
    const std::array values{"holdfast",  "30",
                            "10",        "3",
                            "60000",     settings_.conninfo.c_str(),
                            "UTF8",      settings_.replication ? "true" : nullptr,
                            application, static_cast<const char*>(nullptr)};
    connection_.reset(PQconnectStartParams(names.data(), values.data(), 1));
    if (!connection_) throw Error(ErrorCode::internal, "no memory for a connection");
    PQsetErrorVerbosity(connection_.get(), PQERRORS_VERBOSE); // the only way to the SQLSTATE of a refusal
    PQsetNoticeReceiver(connection_.get(), log_notice, logger_);

    const auto text = [](const char* value) { return std::string(value == nullptr ? "" : value); };
    place_ = fmt::format("{}@{}:{}/{}", text(PQuser(connection_.get())), text(PQhost(connection_.get())),
                         text(PQport(connection_.get())), text(PQdb(connection_.get())));
    const std::string what = "connecting to " + place_;
    const StopWake wake(stop);
    const Deadline deadline = in(settings_.connect_timeout);
    PostgresPollingStatusType state =
        PQstatus(connection_.get()) == CONNECTION_BAD ? PGRES_POLLING_FAILED : PGRES_POLLING_WRITING;
    while (state == PGRES_POLLING_READING || state == PGRES_POLLING_WRITING) {
        const bool reading = state == PGRES_POLLING_READING;
        switch (wake.wait(PQsocket(connection_.get()), reading, !reading, deadline)) {
        case SocketState::stopped:
            throw Error(ErrorCode::cancelled, what + ": stopped");
        case SocketState::timed_out:
            throw Error(
                ErrorCode::timed_out,
                fmt::format("{}: no answer within {} s", what,
                            std::chrono::ceil<std::chrono::seconds>(settings_.connect_timeout).count()),
                "see that the server runs and that nothing on the way drops packets", true);
        case SocketState::ready:
            state = PQconnectPoll(connection_.get());
        }
    }
    if (state != PGRES_POLLING_OK) {
        const ServerMessage said = parse_connection_failure(PQerrorMessage(connection_.get()));
        // The server asked for one, and is not heard of again: it is libpq that gives up.
        if (PQconnectionNeedsPassword(connection_.get()) != 0) {
            throw Error(
                ErrorCode::access_denied, fmt::format("{}: {}", what, said.text),
                "put the password into ~/.pgpass of the user that runs Holdfast (mode 600), or into a "
                "file that the connection names with passfile=");
        }
        throw ServerError(what, said);
    }
    if (PQsetnonblocking(connection_.get(), 1) != 0) fail(what, nullptr);
}

void Connection::prepare_session(const std::stop_token& stop) {
    std::string sql =
        "SET DateStyle = 'ISO'; SET IntervalStyle = 'postgres'; SET bytea_output = 'hex'; "
        "SET idle_in_transaction_session_timeout = 0; SET lock_timeout = 0; SET statement_timeout = " +
        as_milliseconds(settings_.statement_timeout);
    // A session that holds a backup is idle for hours.
    if (server_version() >= 140000) sql += "; SET idle_session_timeout = 0";
    if (settings_.catalog_only) sql += "; SET search_path = pg_catalog, pg_temp";
    execute(sql, stop);
}

void Connection::execute(std::string_view sql, std::stop_token stop) { run(sql, nullptr, stop); }

QueryResult Connection::query(std::string_view sql, const Parameters& parameters, std::stop_token stop) {
    const std::vector<Result> results = run(sql, settings_.replication ? nullptr : &parameters, stop);
    return results.empty() ? QueryResult() : rows_of(results.back().get());
}

std::optional<std::string> Connection::query_value(std::string_view sql, const Parameters& parameters,
                                                   std::stop_token stop) {
    return query(sql, parameters, std::move(stop)).value();
}

std::optional<QueryResult> Connection::query_within(Duration limit, std::string_view sql,
                                                    const Parameters& parameters,
                                                    const std::function<void()>& past_limit,
                                                    std::stop_token stop) {
    if (limit <= Duration{}) return query(sql, parameters, std::move(stop));
    send(sql, &parameters);
    const StopWake wake(stop);
    try {
        const std::vector<Result> results = take_results(wake, in(limit));
        return results.empty() ? QueryResult() : rows_of(results.back().get());
    } catch (const ServerError&) {
        throw;
    } catch (const Error& error) {
        if (error.code() == ErrorCode::timed_out) past_limit();
        const std::vector<Result> late = cancel();
        if (error.code() != ErrorCode::timed_out) throw;
        if (!late.empty() && PQresultStatus(late.back().get()) == PGRES_TUPLES_OK)
            return rows_of(late.back().get());
        return std::nullopt;
    }
}

void Connection::send(std::string_view sql, const Parameters* parameters) {
    const std::string text(sql);
    int sent = 0;
    if (parameters == nullptr) {
        sent = PQsendQuery(handle(), text.c_str());
    } else {
        std::vector<const char*> values;
        for (const auto& one : *parameters) values.push_back(one ? one->c_str() : nullptr);
        sent = PQsendQueryParams(handle(), text.c_str(), static_cast<int>(values.size()), nullptr,
                                 values.data(), nullptr, nullptr, 0);
    }
    if (sent == 0) fail(place_, nullptr);
}

std::vector<Connection::Result> Connection::take_results(const StopWake& wake, const Deadline& deadline) {
    flush(wake, deadline);
    std::vector<Result> results;
    while (Result result = next_result(wake, deadline)) {
        const ExecStatusType status = PQresultStatus(result.get());
        results.push_back(std::move(result));
        // Such a result comes again and again until its data was moved.
        if (status == PGRES_COPY_IN || status == PGRES_COPY_OUT || status == PGRES_COPY_BOTH) {
            connection_.reset();
            throw Error(ErrorCode::internal, place_ + ": a statement copies data where none was expected");
        }
    }
    for (const Result& result : results) {
        const ExecStatusType status = PQresultStatus(result.get());
        if (status == PGRES_FATAL_ERROR || status == PGRES_BAD_RESPONSE || status == PGRES_NONFATAL_ERROR)
            fail(place_, result.get());
    }
    return results;
}

std::vector<Connection::Result> Connection::run(std::string_view sql, const Parameters* parameters,
                                                const std::stop_token& stop) {
    send(sql, parameters);
    const StopWake wake(stop);
    // The server keeps the limit, unless it hangs.
    const bool limited = settings_.statement_timeout > Duration{};
    try {
        return take_results(wake, limited ? in(settings_.statement_timeout + cancel_patience) : Deadline());
    } catch (const ServerError&) {
        throw;
    } catch (const Error& error) {
        if (error.code() == ErrorCode::cancelled) cancel();
        if (error.code() == ErrorCode::timed_out) connection_.reset();
        throw;
    }
}

void Connection::ask_to_cancel() noexcept {
    std::array<char, 256> reason{};
    const std::unique_ptr<PGcancel, decltype(&PQfreeCancel)> request(PQgetCancel(handle()), PQfreeCancel);
    if (request) PQcancel(request.get(), reason.data(), static_cast<int>(reason.size()));
}

std::vector<Connection::Result> Connection::cancel() {
    ask_to_cancel();
    std::vector<Result> results;
    try {
        const StopWake no_stop{{}};
        const Deadline deadline = in(cancel_patience);
        while (Result result = next_result(no_stop, deadline)) results.push_back(std::move(result));
    } catch (const Error& error) {
        logger_->warning("postgresql_cancel_not_answered", {{"server", place_}, {"reason", error.message()}});
        connection_.reset();
    }
    return results;
}

void Connection::flush(const StopWake& wake, const Deadline& deadline) {
    for (;;) {
        const int left = PQflush(handle());
        if (left == 0) return;
        if (left < 0) fail(place_, nullptr);
        // A server that does not read because we do not read: so both are waited for.
        switch (wake.wait(PQsocket(handle()), true, true, deadline)) {
        case SocketState::stopped:
            throw Error(ErrorCode::cancelled, place_ + ": stopped");
        case SocketState::timed_out:
            throw Error(ErrorCode::timed_out, place_ + ": the server does not take what is sent", {}, true);
        case SocketState::ready:
            if (PQconsumeInput(handle()) == 0) fail(place_, nullptr);
        }
    }
}

Connection::Result Connection::next_result(const StopWake& wake, const Deadline& deadline) {
    while (PQisBusy(handle()) != 0) {
        switch (wake.wait(PQsocket(handle()), true, false, deadline)) {
        case SocketState::stopped:
            throw Error(ErrorCode::cancelled, place_ + ": stopped");
        case SocketState::timed_out:
            throw Error(ErrorCode::timed_out, place_ + ": the server does not answer", {}, true);
        case SocketState::ready:
            if (PQconsumeInput(handle()) == 0) fail(place_, nullptr);
        }
    }
    return Result(PQgetResult(handle()));
}

void Connection::fail(std::string_view what, const pg_result* result) const {
    if (result != nullptr) throw ServerError(what, message_of(result));
    // libpq refuses to send on a connection that it knows to be lost without saying a SQLSTATE.
    throw ServerError(what, parse_connection_failure(handle() == nullptr ? "the connection was dropped"
                                                                         : PQerrorMessage(handle())));
}

int Connection::server_version() const { return PQserverVersion(handle()); }
int Connection::backend_pid() const { return PQbackendPID(handle()); }
bool Connection::connected() const { return connection_ && PQstatus(handle()) == CONNECTION_OK; }

std::optional<std::string> Connection::reported_setting(const char* name) const {
    const char* value = PQparameterStatus(handle(), name);
    if (value == nullptr) return std::nullopt;
    return value;
}

std::string Connection::quote_literal(std::string_view text) const {
    const std::unique_ptr<char, decltype(&PQfreemem)> quoted(
        PQescapeLiteral(handle(), text.data(), text.size()), PQfreemem);
    if (!quoted) fail("quoting a text for SQL", nullptr);
    return quoted.get();
}

std::string Connection::quote_identifier(std::string_view name) const {
    const std::unique_ptr<char, decltype(&PQfreemem)> quoted(
        PQescapeIdentifier(handle(), name.data(), name.size()), PQfreemem);
    if (!quoted) fail("quoting a name for SQL", nullptr);
    return quoted.get();
}

} // namespace holdfast::postgres
