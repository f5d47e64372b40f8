#include "postgres/server/connection.h"
#include "support/error_matchers.h"
#include "support/postgres_server.h"

#include <atomic>
#include <chrono>
#include <csignal>
#include <mutex>
#include <thread>

#include <gtest/gtest.h>

using namespace holdfast;
using namespace holdfast::postgres;
using namespace holdfast::test;
using namespace std::chrono_literals;

namespace {

// Keeps what was logged.
class KeepingLogger final : public Logger {
  public:
    void log(LogLevel level, std::string_view event, std::initializer_list<LogField> fields) override {
        const std::scoped_lock lock(mutex_);
        text_ += render_log_line(LogFormat::text, "", level, event, fields) + "\n";
    }
    std::string text() const { return text_; }

  private:
    std::mutex mutex_;
    std::string text_;
};

std::string sqlstate_of(const std::function<void()>& action) {
    try {
        action();
    } catch (const ServerError& error) {
        return error.sqlstate();
    }
    return "no error";
}

} // namespace

class ConnectionTest : public testing::TestWithParam<int> {
  protected:
    PostgresServer& server() { return PostgresServer::shared(GetParam()); }
    Connection connect(ConnectionSettings settings = {}) {
        if (settings.conninfo.empty()) settings.conninfo = server().conninfo();
        return Connection(settings);
    }
};

INSTANTIATE_TEST_SUITE_P(Versions, ConnectionTest, testing::ValuesIn(postgres_versions));

TEST_P(ConnectionTest, GivesRowsWithNullsAndParameters) {
    Connection connection = connect();
    const QueryResult result =
        connection.query("SELECT $1::text AS a, $2::int + 1 AS b, NULL AS c", {{"it's $1"}, {"41"}});
    EXPECT_EQ(result.columns, (std::vector<std::string>{"a", "b", "c"}));
    ASSERT_EQ(result.rows.size(), 1u);
    EXPECT_EQ(result.rows[0][0], "it's $1");
    EXPECT_EQ(result.rows[0][1], "42");
    EXPECT_EQ(result.rows[0][2], std::nullopt);
    EXPECT_EQ(connection.query_value("SELECT $1::int", {std::nullopt}), std::nullopt);
    EXPECT_EQ(connection.query_value("SELECT " + connection.quote_literal("a'b\\c")), "a'b\\c");
    EXPECT_EQ(connection.quote_identifier("a\"b"), "\"a\"\"b\"");
}

TEST_P(ConnectionTest, ShowsItselfAsHoldfastAndSearchesTheCatalogAlone) {
    Connection connection = connect();
    EXPECT_EQ(connection.query_value("SHOW application_name"), "holdfast");
    EXPECT_EQ(connection.query_value("SELECT current_schema()"), "pg_catalog");
    EXPECT_EQ(connect({.conninfo = server().conninfo() + " application_name=mine"})
                  .query_value("SHOW application_name"),
              "mine");
    EXPECT_EQ(connect({.application_name = "standby_1"}).query_value("SHOW application_name"), "standby_1");
    EXPECT_EQ(connection.place().substr(0, 9), "postgres@");
}

TEST_P(ConnectionTest, KeepsTheSqlstateAndStaysUsable) {
    Connection connection = connect();
    EXPECT_EQ(sqlstate_of([&] { connection.query("SELECT 1 / 0"); }), "22012");
    EXPECT_EQ(sqlstate_of([&] { connection.execute("SELECT 1; SELECT no_such_column"); }), "42703");
    EXPECT_EQ(sqlstate_of([&] { connection.query("SELECT pg_drop_replication_slot('none')"); }), "42704");
    EXPECT_EQ(connection.query_value("SELECT 1"), "1");
}

TEST_P(ConnectionTest, AStatementPastItsLimitIsATimeout) {
    Connection connection = connect({.statement_timeout = 50ms});
    try {
        connection.query("SELECT pg_sleep(60)");
        FAIL() << "it slept";
    } catch (const ServerError& error) {
        EXPECT_EQ(error.code(), ErrorCode::timed_out);
        EXPECT_EQ(error.sqlstate(), "57014");
    }
}

TEST_P(ConnectionTest, AStopCancelsOnTheServerAndLeavesTheSessionUsable) {
    Connection connection = connect();
    const std::string pid = std::to_string(connection.backend_pid());
    std::stop_source stop;
    std::jthread stopper([&] {
        Connection watcher = connect();
        while (watcher.query_value(
                   "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND pid = $1::int",
                   {pid}) != "1") {
        }
        stop.request_stop();
    });
    expect_error(ErrorCode::cancelled,
                 [&] { connection.query("SELECT pg_sleep(600)", {}, stop.get_token()); });
    EXPECT_EQ(connection.query_value("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'"),
              "0");
    EXPECT_EQ(std::to_string(connection.backend_pid()), pid);
}

TEST_P(ConnectionTest, ALimitOfOursCallsBackWhileTheStatementStillWaits) {
    Connection connection = connect();
    std::string seen;
    const auto result = connection.query_within(200ms, "SELECT pg_sleep(600)", {}, [&] {
        seen = connect()
                   .query_value("SELECT wait_event FROM pg_stat_activity WHERE pid = $1::int",
                                {std::to_string(connection.backend_pid())})
                   .value_or("");
    });
    EXPECT_FALSE(result);
    EXPECT_EQ(seen, "PgSleep");
    const auto quick =
        connection.query_within(60s, "SELECT 5 AS five", {}, [] { FAIL() << "not past its limit"; });
    ASSERT_TRUE(quick);
    EXPECT_EQ(quick->value(), "5");
}

TEST_P(ConnectionTest, ATerminatedSessionIsUnavailableAndCanBeTriedAgain) {
    Connection connection = connect();
    connect().query("SELECT pg_terminate_backend($1::int)", {std::to_string(connection.backend_pid())});
    try {
        connection.query("SELECT 1");
        FAIL() << "the session lives";
    } catch (const ServerError& error) {
        EXPECT_EQ(error.code(), ErrorCode::unavailable) << error.message();
        EXPECT_TRUE(error.retryable());
    }
    EXPECT_FALSE(connection.connected());
    EXPECT_THROW(connection.query("SELECT 1"), ServerError);
}

TEST_P(ConnectionTest, RefusalsKeepTheirSqlstate) {
    const std::string password = "wrong-secret-word";
    try {
        connect({.conninfo = server().conninfo("no_such_database") + " password=" + password});
        FAIL() << "there is such a database";
    } catch (const ServerError& error) {
        EXPECT_EQ(error.sqlstate(), "3D000") << error.message();
        EXPECT_EQ(error.code(), ErrorCode::not_found);
        EXPECT_FALSE(error.retryable());
        EXPECT_EQ(error.message().find(password), std::string::npos);
        EXPECT_EQ(error.message().find("LOCATION"), std::string::npos) << error.message();
    }
    try {
        connect({.conninfo = server().conninfo("postgres", "nobody")});
        FAIL() << "there is such a role";
    } catch (const ServerError& error) {
        EXPECT_EQ(error.sqlstate(), "28000") << error.message();
        EXPECT_EQ(error.code(), ErrorCode::access_denied);
    }
}

TEST_P(ConnectionTest, NoticesGoToTheLog) {
    KeepingLogger logger;
    Connection connection({.conninfo = server().conninfo()}, {}, logger);
    connection.execute("DO $$ BEGIN RAISE WARNING 'look here'; END $$");
    EXPECT_NE(logger.text().find("look here"), std::string::npos) << logger.text();
}

TEST_P(ConnectionTest, TooManyConnectionsCanBeTriedAgain) {
    PostgresServer full(
        {.version = GetParam(),
         .settings = "max_connections = 4\nsuperuser_reserved_connections = 0\nmax_wal_senders = 0"});
    std::vector<Connection> all;
    try {
        for (int i = 0; i < 20; ++i) all.push_back(full.connect());
        FAIL() << "there is no limit";
    } catch (const ServerError& error) {
        EXPECT_EQ(error.sqlstate(), "53300") << error.message();
        EXPECT_TRUE(error.retryable());
    }
}

TEST(ConnectionStrings, ThatCannotBeReadShowNothingOfThemselves) {
    try {
        Connection connection({.conninfo = "host=/tmp password='my secret word"});
        FAIL() << "it was read";
    } catch (const Error& error) {
        EXPECT_EQ(error.code(), ErrorCode::usage);
        EXPECT_EQ((error.message() + error.hint()).find("secret word"), std::string::npos);
    }
}

TEST(ConnectionStrings, ToAServerThatDoesNotRunCanBeTriedAgain) {
    const TemporaryDirectory empty;
    try {
        Connection connection({.conninfo = "user=nobody host=" + empty.path().string()});
        FAIL() << "something answers";
    } catch (const ServerError& error) {
        EXPECT_EQ(error.code(), ErrorCode::unavailable);
        EXPECT_TRUE(error.retryable());
        EXPECT_EQ(error.sqlstate(), "");
    }
}

// Accepts nothing: a listening socket whose queue is never served answers no start-up message.
TEST(ConnectionStrings, AServerThatDoesNotAnswerIsGivenUp) {
    PostgresServer server({.version = 15});
    const Connection before = server.connect();
    ASSERT_EQ(::kill(server.process(), SIGSTOP), 0);
    expect_error(ErrorCode::timed_out, [&] {
        Connection(ConnectionSettings{.conninfo = server.conninfo(), .connect_timeout = 300ms});
    });
    std::stop_source stop;
    std::jthread stopper([&] { stop.request_stop(); });
    expect_error(ErrorCode::cancelled,
                 [&] { Connection({.conninfo = server.conninfo()}, stop.get_token()); });
    ASSERT_EQ(::kill(server.process(), SIGCONT), 0);
}

// One whose machine stands still neither answers nor hangs up, and keeps no limit either.
TEST(Connection, AServerThatHangsIsGivenUp) {
    PostgresServer server;
    Connection connection({.conninfo = server.conninfo(), .statement_timeout = 1s});
    const int backend = connection.backend_pid();
    ::kill(backend, SIGSTOP);
    const auto error = error_of([&] { connection.query("SELECT 1"); });
    ::kill(backend, SIGCONT);
    ASSERT_TRUE(error);
    EXPECT_EQ(error->code(), ErrorCode::timed_out) << error->message();
    EXPECT_TRUE(error->retryable());
    EXPECT_FALSE(connection.connected());
    EXPECT_TRUE(error_of([&] { connection.query("SELECT 1"); }));
    // What the server itself gives up costs no connection.
    Connection slow({.conninfo = server.conninfo(), .statement_timeout = 2s});
    EXPECT_EQ(error_of([&] { slow.query("SELECT pg_sleep(60)"); })->code(), ErrorCode::timed_out);
    EXPECT_EQ(slow.query_value("SELECT 1"), "1");
}
