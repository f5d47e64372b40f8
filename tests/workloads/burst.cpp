#include "workloads/burst.h"

#include "support/cluster_rows.h"

#include <fmt/format.h>

namespace holdfast::workloads {

using postgres::Connection;
using postgres::ServerError;

namespace {

// Locks that a prepared transaction holds are not waited for.
constexpr const char* session_settings =
    "SET lock_timeout = '300ms'; SET deadlock_timeout = '100ms'; SET statement_timeout = '60s'; "
    "SET client_min_messages = error; SET search_path = public; SET maintenance_work_mem = '4MB'; "
    "SET work_mem = '1MB'";

// What no server in good order says. That two sessions changed one row of a catalog at once is XX000, too,
// for commands that do not wait for each other there (both truncate a table and restart its sequence, say).
bool is_alarming(const ServerError& error) {
    const std::string& code = error.sqlstate();
    if (code == "XX000" && error.message().find("tuple concurrently ") != std::string::npos) return false;
    return code.starts_with("XX") || code.starts_with("58") || code == "53100";
}

// REINDEX CONCURRENTLY of a TOAST table leaves out rows that are dead, but that a prepared transaction may
// still keep from being removed; what writes the table anew (CLUSTER, VACUUM FULL, ALTER TABLE) copies such
// rows and misses them. Seen with 15.18 and 18.6 alone: prepare, insert, delete, reindex, cluster.
bool may_miss_what_is_dead(const std::string& sql, const ServerError& error) {
    return error.message().find("missing chunk number") != std::string::npos &&
           (sql.starts_with("CLUSTER") || sql.starts_with("VACUUM") || sql.starts_with("ALTER TABLE"));
}

// Whether all that is not dead can be read, of tables that nobody has locked.
bool has_what_lives(Connection& connection) {
    try {
        connection.execute("DO $$ DECLARE name regclass; length bigint; BEGIN "
                           "FOR name IN SELECT oid FROM pg_class WHERE relkind IN ('r', 'm') AND "
                           "relnamespace = 'public'::regnamespace LOOP BEGIN "
                           "EXECUTE format('SELECT sum(length(t::text)) FROM %s t', name) INTO length; "
                           "EXCEPTION WHEN lock_not_available OR undefined_table THEN NULL; END; "
                           "END LOOP; END $$");
        return true;
    } catch (const ServerError& again) {
        return !is_alarming(again);
    }
}

} // namespace

Burst::Burst(const test::PostgresServer& server, BurstSettings settings)
    : server_(server), settings_(std::move(settings)) {
    for (unsigned number = 0; number < settings_.sessions; ++number)
        threads_.emplace_back([this, number] { session(number); });
}

void Burst::finish() {
    for (std::jthread& thread : threads_)
        if (thread.joinable()) thread.join();
}

void Burst::session(unsigned number) {
    SeededRandom random(settings_.seed * 31 + number);
    StatementChoice choice;
    choice.version = server_.version();
    choice.databases = number == 0;
    choice.name = fmt::format("{}", number);
    try {
        // The last one is elsewhere now and then.
        std::string database = "postgres";
        if (number == 2 && random.below(100) < 40) {
            for (const std::string& name : test::databases_of(server_))
                if (name.starts_with("d")) database = name;
        }
        Connection connection = server_.connect(database);
        connection.execute(session_settings);
        connection.query_value(fmt::format("SELECT setseed({})", double(random.below(1000)) / 1000));
        for (unsigned i = 0; i < settings_.statements; ++i)
            run_statements(connection, number, random_statements(random, choice));
    } catch (const ServerError& error) {
        if (!error.sqlstate().starts_with("57P") && !error.sqlstate().starts_with("08") &&
            !error.sqlstate().empty() && error.sqlstate() != "3D000") {
            const std::scoped_lock lock(mutex_);
            failures_ += fmt::format("session {}: {}\n", number, error.message());
        }
    } catch (const std::exception& error) {
        const std::scoped_lock lock(mutex_);
        failures_ += fmt::format("session {}: {}\n", number, error.what());
    }
}

// Throws ServerError when the server is gone.
void Burst::run_statements(Connection& connection, unsigned number,
                           const std::vector<std::string>& statements) {
    for (const std::string& sql : statements) {
        try {
            connection.execute(sql);
            ++done_;
            if (settings_.narrate) settings_.narrate(fmt::format("    [{}] {}", number, sql));
        } catch (const ServerError& error) {
            if (!connection.connected()) throw;
            ++refused_;
            if (settings_.narrate)
                settings_.narrate(fmt::format("    [{}] {}: {}", number, sql, error.message()));
            const auto record = [&] {
                const std::scoped_lock lock(mutex_);
                failures_ += fmt::format("session {}: {}: {}\n", number, sql, error.message());
            };
            const bool may_be_theirs = may_miss_what_is_dead(sql, error);
            if (is_alarming(error) && !may_be_theirs) record();
            connection.execute("ROLLBACK");
            if (may_be_theirs && !has_what_lives(connection)) record();
            return;
        }
    }
}

} // namespace holdfast::workloads
