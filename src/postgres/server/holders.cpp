#include "postgres/server/holders.h"

#include "postgres/server/row.h"

#include <fmt/format.h>

namespace holdfast::postgres {

namespace {

// Follows pg_blocking_pids from the session on, and adds the checkpointer when a checkpoint is waited for.
constexpr std::string_view holders_sql = R"(
WITH RECURSIVE waiting(pid) AS (
    SELECT $1::int
    UNION
    SELECT blocker FROM waiting, LATERAL unnest(pg_blocking_pids(waiting.pid)) AS blocker WHERE blocker <> 0
), involved AS (
    SELECT a.* FROM pg_stat_activity a WHERE a.pid IN (SELECT pid FROM waiting) AND a.pid <> $1::int
    UNION
    SELECT a.* FROM pg_stat_activity a WHERE a.backend_type = 'checkpointer' AND EXISTS (
        SELECT FROM pg_stat_activity me WHERE me.pid = $1::int AND me.wait_event IN ('CheckpointStart', 'CheckpointDone'))
)
SELECT i.pid, i.backend_type, i.usename, i.datname, i.application_name, i.state,
       nullif(concat_ws(' ', i.wait_event_type, i.wait_event), '') AS waits_for, left(i.query, 200) AS query,
       coalesce((extract(epoch FROM clock_timestamp() - coalesce(i.xact_start, i.query_start)) * 1000)::bigint, 0) AS busy,
       (SELECT string_agg(DISTINCT h.mode || ' on ' || coalesce(c.relname, h.locktype), ', ')
        FROM pg_locks w JOIN pg_locks h ON h.granted AND NOT w.granted AND h.pid = i.pid AND h.locktype = w.locktype
             AND h.database IS NOT DISTINCT FROM w.database AND h.relation IS NOT DISTINCT FROM w.relation
             AND h.page IS NOT DISTINCT FROM w.page AND h.tuple IS NOT DISTINCT FROM w.tuple
             AND h.virtualxid IS NOT DISTINCT FROM w.virtualxid AND h.transactionid IS NOT DISTINCT FROM w.transactionid
             AND h.classid IS NOT DISTINCT FROM w.classid AND h.objid IS NOT DISTINCT FROM w.objid
             AND h.objsubid IS NOT DISTINCT FROM w.objsubid
             LEFT JOIN pg_class c ON c.oid = h.relation
        WHERE w.pid IN (SELECT pid FROM waiting)) AS lock
FROM involved i ORDER BY i.pid)";

} // namespace

std::string Holder::str() const {
    std::string text = fmt::format("process {} ({}", pid, backend_type.empty() ? "unknown" : backend_type);
    if (!user.empty()) text += ", user " + user;
    if (!database.empty()) text += ", database " + database;
    if (!application.empty()) text += ", application " + application;
    if (!state.empty()) text += ", " + state;
    if (busy_for > Duration{})
        text += fmt::format(" for {} s", std::chrono::ceil<std::chrono::seconds>(busy_for).count());
    text += ")";
    if (!lock.empty()) text += " holds " + lock;
    if (!waits_for.empty()) text += ", waits for " + waits_for;
    if (!query.empty()) text += fmt::format(", last statement: {}", query);
    return text;
}

std::string HeldUp::str() const {
    std::string text = waits_for.empty() ? "it does not wait" : "it waits for " + waits_for;
    for (const Holder& holder : holders) text += "; " + holder.str();
    return text;
}

HeldUp who_holds_up(Connection& connection, int pid, std::stop_token stop) {
    const Parameters parameters{std::to_string(pid)};
    HeldUp found;
    const QueryResult self = connection.query("SELECT concat_ws(' ', wait_event_type, wait_event) AS "
                                              "waits_for FROM pg_stat_activity WHERE pid = $1::int",
                                              parameters, stop);
    if (!self.rows.empty()) found.waits_for = Row(self, 0).text_or_empty("waits_for");
    const QueryResult result = connection.query(holders_sql, parameters, stop);
    for (std::size_t i = 0; i < result.rows.size(); ++i) {
        const Row row(result, i);
        found.holders.push_back(
            {row.number<int>("pid"), row.text_or_empty("backend_type"), row.text_or_empty("usename"),
             row.text_or_empty("datname"), row.text_or_empty("application_name"), row.text_or_empty("state"),
             row.text_or_empty("waits_for"), row.text_or_empty("lock"), row.text_or_empty("query"),
             std::chrono::milliseconds(row.number<std::int64_t>("busy"))});
    }
    return found;
}

} // namespace holdfast::postgres
