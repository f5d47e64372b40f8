#include "catalog/operations.h"

#include "base/error.h"
#include "base/secret_text.h"
#include "catalog/longest_wait.h"

#include <algorithm>
#include <array>
#include <set>
#include <utility>

#include <fmt/format.h>

namespace holdfast {

namespace {

constexpr std::size_t most_at_once = 10'000;

constexpr std::array<std::pair<OperationState, std::string_view>, 6> state_names{{
    {OperationState::queued, "queued"},
    {OperationState::running, "running"},
    {OperationState::succeeded, "succeeded"},
    {OperationState::incomplete, "incomplete"},
    {OperationState::failed, "failed"},
    {OperationState::cancelled, "cancelled"},
}};

constexpr std::string_view columns = "id, kind, source, state, request, requested_by, plan, nominal, "
                                     "created, run_after, started, ended, attempts, "
                                     "owner, lease_until, cancel_requested, phase, done_bytes, total_bytes, "
                                     "done_items, total_items, failures, interruptions, losses, error, ";
// What all but lists want to see, and they do not.
constexpr std::string_view with_result = "result", without_result = "NULL";

std::uint64_t count_of(const SqlRow& row, std::size_t column) {
    return static_cast<std::uint64_t>(std::max<std::int64_t>(row.number(column), 0));
}

Operation operation_of(const SqlRow& row) {
    Operation operation;
    operation.id = row.text(0);
    operation.kind = row.text(1);
    if (!row.text(2).empty()) operation.source = row.text(2);
    operation.state = operation_state(row.text(3));
    operation.request = row.text(4);
    operation.requested_by = row.text(5);
    operation.plan = row.optional_text(6);
    operation.nominal = row.optional_time(7);
    operation.created = row.time(8);
    operation.run_after = row.time(9);
    operation.started = row.optional_time(10);
    operation.ended = row.optional_time(11);
    operation.attempts = row.number(12);
    operation.owner = row.optional_text(13);
    operation.lease_until = row.optional_time(14);
    operation.cancel_requested = row.flag(15);
    operation.progress = {.phase = row.text(16),
                          .done_bytes = count_of(row, 17),
                          .total_bytes = count_of(row, 18),
                          .done_items = count_of(row, 19),
                          .total_items = count_of(row, 20)};
    operation.failures = row.number(21);
    operation.interruptions = row.number(22);
    operation.losses = row.number(23);
    operation.error = row.optional_text(24);
    operation.result = row.optional_text(25);
    return operation;
}

SqlValue count(std::uint64_t number) {
    return static_cast<std::int64_t>(std::min<std::uint64_t>(number, INT64_MAX));
}

} // namespace

std::string_view to_string(OperationState state) {
    for (const auto& [known, name] : state_names)
        if (known == state) return name;
    return "queued";
}

OperationState operation_state(std::string_view text) {
    for (const auto& [state, name] : state_names)
        if (name == text) return state;
    throw Error(ErrorCode::usage, fmt::format("'{}' is no state of an operation", text),
                "queued, running, succeeded, incomplete, failed or cancelled");
}

bool is_over(OperationState state) {
    return state != OperationState::queued && state != OperationState::running;
}

// Milliseconds first, so that ids ascend; then enough at random that no two servers draw the same.
std::string Operations::new_id(Timestamp now) {
    const auto milliseconds = std::chrono::floor<std::chrono::milliseconds>(now).time_since_epoch().count();
    return fmt::format("{:012x}{}", static_cast<std::uint64_t>(milliseconds) & 0xffff'ffff'ffff,
                       random_.id<10>().hex());
}

Timestamp Operations::translated(Database& database, Timestamp time) {
    const auto theirs = database.time();
    return theirs ? time + (*theirs - clock_.now()) : time;
}

std::optional<std::string> Operations::add(const OperationRequest& request) {
    return catalog_.with([&](Database& database) { return add(database, request); });
}

std::optional<std::string> Operations::add(Database& database, const OperationRequest& request) {
    const Timestamp created = now(database);
    const std::string id = new_id(created);
    const auto rows = database.query(
        "INSERT INTO operations (id, kind, source, state, request, requested_by, plan, nominal, created, "
        "run_after, "
        "attempts, cancel_requested, phase, done_bytes, total_bytes, done_items, total_items) "
        "VALUES ($1, $2, $3, 'queued', $4, $5, $6, $7, $8, $9, 0, 0, '', 0, 0, 0, 0) "
        "ON CONFLICT (kind, source, plan, nominal) DO NOTHING RETURNING id",
        {sql(id), sql(request.kind), sql(request.source.value_or("")), sql(request.request),
         sql(request.requested_by), sql(request.plan), sql(request.nominal), sql(created),
         sql(std::max(created, translated(database, request.run_after)))});
    return rows.empty() ? std::nullopt : std::optional(id);
}

std::optional<Operation> Operations::find(const std::string& id) {
    const auto rows = catalog_.with([&](Database& database) {
        return database.query(fmt::format("SELECT {}{} FROM operations WHERE id = $1", columns, with_result),
                              {sql(id)});
    });
    return rows.empty() ? std::nullopt : std::optional(operation_of(rows.front()));
}

std::vector<Operation> Operations::list(const OperationFilter& filter) {
    std::string statement = fmt::format("SELECT {}{} FROM operations WHERE 1 = 1", columns, without_result);
    SqlValues values;
    const auto add = [&](const char* condition, SqlValue value) {
        values.push_back(std::move(value));
        statement += fmt::format(" AND {} ${}", condition, values.size());
    };
    if (filter.kind) add("kind =", sql(*filter.kind));
    if (filter.source) add("source =", sql(*filter.source));
    if (filter.before) add("id <", sql(*filter.before));
    if (!filter.states.empty()) {
        std::string names;
        for (const OperationState state : filter.states)
            names += fmt::format("{}'{}'", names.empty() ? "" : ", ", to_string(state));
        statement += fmt::format(" AND state IN ({})", names);
    }
    values.push_back(count(std::min(filter.limit, most_at_once)));
    statement += fmt::format(" ORDER BY id DESC LIMIT CAST(${} AS BIGINT)", values.size());
    const auto rows = catalog_.with([&](Database& database) { return database.query(statement, values); });
    std::vector<Operation> operations;
    for (const SqlRow& row : rows) operations.push_back(operation_of(row));
    return operations;
}

std::optional<Timestamp> Operations::last_nominal(const std::string& kind,
                                                  const std::optional<std::string>& source,
                                                  const std::string& plan) {
    const auto rows = catalog_.with([&](Database& database) {
        return database.query(
            "SELECT max(nominal) FROM operations WHERE kind = $1 AND source = $2 AND plan = $3",
            {sql(kind), sql(source.value_or("")), sql(plan)});
    });
    return rows.empty() ? std::nullopt : rows.front().optional_time(0);
}

std::optional<Operation> Operations::last_run(const std::string& kind,
                                              const std::optional<std::string>& source,
                                              const std::string& plan) {
    const auto rows = catalog_.with([&](Database& database) {
        return database.query(fmt::format("SELECT {}{} FROM operations WHERE kind = $1 AND source = $2 AND "
                                          "plan = $3 ORDER BY nominal DESC LIMIT 1",
                                          columns, without_result),
                              {sql(kind), sql(source.value_or("")), sql(plan)});
    });
    return rows.empty() ? std::nullopt : std::optional(operation_of(rows.front()));
}

std::optional<Operation> Operations::claim(const std::string& owner, Duration lease,
                                           const OperationLimits& limits) {
    std::optional<Operation> claimed;
    catalog_.transaction([&](Database& database) {
        // One claim at a time, so that the limits hold.
        database.lock(CatalogLock::operation_claim);
        const Timestamp now = this->now(database);
        const Timestamp too_late = now + longest_catalog_wait;
        // What a lost server was to stop is over.
        const auto over = database.query(
            fmt::format("UPDATE operations SET state = 'cancelled', ended = $1, owner = NULL, "
                        "lease_until = NULL WHERE state = 'running' AND cancel_requested = 1 AND "
                        "(lease_until <= $1 OR (lease_until > $2 AND owner <> $3)) RETURNING {}{}",
                        columns, without_result),
            {sql(now), sql(too_late), sql(owner)});
        for (const SqlRow& row : over) tell_ended(database, operation_of(row));
        const std::int64_t running =
            single_number(database.query("SELECT count(*) FROM operations WHERE state = 'running' AND "
                                         "lease_until > $1 AND (lease_until <= $2 OR owner = $3)",
                                         {sql(now), sql(too_late), sql(owner)}));
        if (running >= limits.at_once) return;
        std::set<std::string> ours;
        for (const SqlRow& row :
             database.query("SELECT id FROM operations WHERE state = 'running' AND owner = $1", {sql(owner)}))
            ours.insert(row.text(0));
        // What another transaction is ending or stopping right now is not waited for: that one may wait for
        // what tell_ended() has taken, and what comes of it is not to be run.
        const auto rows = database.query(
            fmt::format(
                "UPDATE operations SET state = 'running', owner = $1, lease_until = $2, "
                "started = COALESCE(started, $3), attempts = attempts + 1, "
                "interruptions = interruptions + CASE WHEN state = 'running' THEN 1 ELSE 0 END, "
                // Who takes up again what is its own lives.
                "losses = losses + CASE WHEN state = 'running' AND owner <> $1 THEN 1 ELSE 0 END "
                "WHERE id = (SELECT o.id FROM operations o "
                "WHERE ((o.state = 'queued' AND (o.run_after <= $3 OR o.run_after > $5)) OR "
                "(o.state = 'running' AND (o.lease_until <= $3 OR (o.lease_until > $5 AND o.owner <> $1)))) "
                "AND (o.source = '' OR (SELECT count(*) FROM operations r WHERE r.state = 'running' AND "
                "r.lease_until > $3 AND (r.lease_until <= $5 OR r.owner = $1) AND r.source = o.source) < $4) "
                "ORDER BY CASE WHEN o.kind = 'restore' THEN 0 WHEN o.plan IS NULL THEN 1 ELSE 2 END, "
                "o.run_after, o.id LIMIT 1{}) RETURNING {}{}",
                database.skip_locked(), columns, with_result),
            {sql(owner), sql(now + lease), sql(now), sql(limits.of_a_source), sql(too_late)});
        if (rows.empty()) return;
        claimed = operation_of(rows.front());
        // What goes on here is not begun again, nor what is only taken to be given up.
        const bool begins = !ours.contains(claimed->id) && claimed->losses < limits.losses;
        if (hooks_.begun && begins) hooks_.begun(database, *claimed);
    });
    return claimed;
}

Operations::Renewal Operations::renew(const Operation& claimed, Duration lease,
                                      const OperationProgress& progress) {
    const auto rows = catalog_.with([&](Database& database) {
        return database.query(
            "UPDATE operations SET lease_until = $4, phase = $5, done_bytes = $6, total_bytes = $7, "
            "done_items = $8, total_items = $9, "
            "losses = CASE WHEN furthest < CAST($10 AS BIGINT) THEN 0 ELSE losses END, "
            "furthest = CASE WHEN furthest < CAST($10 AS BIGINT) THEN CAST($10 AS BIGINT) ELSE furthest END "
            "WHERE id = $1 AND owner = $2 AND attempts = $3 AND state = 'running' RETURNING cancel_requested",
            {sql(claimed.id), sql(claimed.owner), sql(claimed.attempts), sql(now(database) + lease),
             sql(progress.phase), count(progress.done_bytes), count(progress.total_bytes),
             count(progress.done_items), count(progress.total_items),
             count(progress.done_bytes + progress.done_items)});
    });
    if (rows.empty()) return {};
    return {.ours = true, .cancel_requested = rows.front().flag(0)};
}

bool Operations::finish(const Operation& claimed, OperationState state,
                        const std::optional<std::string>& result, const std::optional<std::string>& error,
                        const std::function<void(Database&)>& also) {
    bool ours = false;
    const std::optional<std::string> told =
        error ? std::optional(json_without_secrets(*error)) : std::nullopt;
    catalog_.transaction([&](Database& database) {
        const Timestamp ended = now(database);
        ours =
            !database
                 .query("UPDATE operations SET state = $4, ended = $5, result = $6, error = $7, "
                        "owner = NULL, lease_until = NULL "
                        "WHERE id = $1 AND owner = $2 AND attempts = $3 AND state = 'running' RETURNING id",
                        {sql(claimed.id), sql(claimed.owner), sql(claimed.attempts), sql(to_string(state)),
                         sql(ended), sql(result), sql(told)})
                 .empty();
        if (!ours) return;
        also(database);
        Operation over = claimed;
        over.state = state;
        over.ended = ended;
        over.result = result;
        over.error = told;
        tell_ended(database, over);
    });
    return ours;
}

bool Operations::put_back(const Operation& claimed, Why why, Timestamp run_after, const std::string& error) {
    const std::int64_t failed = why == Why::failed ? 1 : 0;
    bool ours = false;
    catalog_.transaction([&](Database& database) {
        const auto rows = database.query(
            fmt::format(
                "UPDATE operations SET "
                "state = CASE WHEN cancel_requested = 1 THEN 'cancelled' ELSE 'queued' END, "
                "ended = CASE WHEN cancel_requested = 1 THEN $4 ELSE ended END, run_after = $5, error = $6, "
                "owner = NULL, lease_until = NULL, failures = failures + CAST($7 AS BIGINT), "
                "interruptions = interruptions + 1 - CAST($7 AS BIGINT), "
                "losses = losses * (1 - CAST($7 AS BIGINT)) "
                "WHERE id = $1 AND owner = $2 AND attempts = $3 AND state = 'running' RETURNING {}{}",
                columns, without_result),
            {sql(claimed.id), sql(claimed.owner), sql(claimed.attempts), sql(now(database)),
             sql(translated(database, run_after)), sql(json_without_secrets(error)), sql(failed)});
        ours = !rows.empty();
        if (!ours) return;
        const Operation now_so = operation_of(rows.front());
        if (is_over(now_so.state)) tell_ended(database, now_so);
    });
    return ours;
}

bool Operations::cancel(const std::string& id) {
    bool cancelled = false;
    catalog_.transaction([&](Database& database) { cancelled = cancel(database, id); });
    return cancelled;
}

bool Operations::cancel(Database& database, const std::string& id) {
    const Timestamp now = this->now(database);
    const auto rows =
        database.query(fmt::format("UPDATE operations SET cancel_requested = 1, "
                                   "state = CASE WHEN state = 'queued' THEN 'cancelled' ELSE state END, "
                                   "ended = CASE WHEN state = 'queued' THEN $2 ELSE ended END "
                                   "WHERE id = $1 AND state IN ('queued', 'running') RETURNING {}{}",
                                   columns, without_result),
                       {sql(id), sql(now)});
    if (rows.empty()) return false;
    const Operation now_so = operation_of(rows.front());
    if (is_over(now_so.state) && now_so.attempts > 0) tell_ended(database, now_so);
    return true;
}

void Operations::log(const std::string& id, std::string_view level, std::string_view message) {
    const Timestamp now = clock_.now();
    catalog_.transaction([&](Database& database) {
        // Lines are numbered one after the other, whoever writes them.
        database.lock(CatalogLock::operation_log);
        database.query(
            "INSERT INTO operation_log (operation, number, time, level, message) "
            "SELECT $1, COALESCE(max(number), 0) + 1, CAST($2 AS BIGINT), $3, $4 FROM operation_log "
            "WHERE operation = $1",
            {sql(id), sql(now), sql(level), sql(without_secrets(message))});
    });
}

std::vector<OperationLogLine> Operations::log_after(const std::string& id, std::int64_t number,
                                                    std::size_t limit) {
    const auto rows = catalog_.with([&](Database& database) {
        return database.query("SELECT number, time, level, message FROM operation_log WHERE operation = $1 "
                              "AND number > $2 ORDER BY number LIMIT CAST($3 AS BIGINT)",
                              {sql(id), sql(number), count(std::min(limit, most_at_once))});
    });
    std::vector<OperationLogLine> lines;
    for (const SqlRow& row : rows) lines.push_back({row.number(0), row.time(1), row.text(2), row.text(3)});
    return lines;
}

std::map<OperationState, std::int64_t> Operations::counts() {
    const auto rows = catalog_.with([&](Database& database) {
        return database.query("SELECT state, count(*) FROM operations GROUP BY state");
    });
    std::map<OperationState, std::int64_t> counts;
    for (const SqlRow& row : rows) counts[operation_state(row.text(0))] = row.number(1);
    return counts;
}

std::int64_t Operations::remove_ended_before(Timestamp time) {
    const auto rows = catalog_.with([&](Database& database) {
        return database.query("DELETE FROM operations WHERE ended < $1 AND (plan IS NULL OR nominal < "
                              "(SELECT max(o.nominal) FROM operations o WHERE o.kind = operations.kind AND "
                              "o.source = operations.source AND o.plan = operations.plan)) RETURNING id",
                              {sql(time)});
    });
    return static_cast<std::int64_t>(rows.size());
}

} // namespace holdfast
