#include "catalog/migrations.h"

#include "base/error.h"
#include "catalog/watch_tables.h"

#include <array>

#include <fmt/format.h>

namespace holdfast {

namespace {

// Each is applied once, in order, and never changed: what is to be different is another step.
constexpr std::array<const char*, 8> steps{
    // Work: what is asked for, what is under way, what came of it.
    R"(
CREATE TABLE operations (
    id TEXT PRIMARY KEY,
    kind TEXT NOT NULL,
    source TEXT NOT NULL,
    state TEXT NOT NULL,
    request TEXT NOT NULL,
    requested_by TEXT NOT NULL,
    plan TEXT,
    nominal BIGINT,
    created BIGINT NOT NULL,
    run_after BIGINT NOT NULL,
    started BIGINT,
    ended BIGINT,
    attempts BIGINT NOT NULL,
    owner TEXT,
    lease_until BIGINT,
    cancel_requested BIGINT NOT NULL,
    phase TEXT NOT NULL,
    done_bytes BIGINT NOT NULL,
    total_bytes BIGINT NOT NULL,
    done_items BIGINT NOT NULL,
    total_items BIGINT NOT NULL,
    result TEXT,
    error TEXT
);
CREATE INDEX operations_to_do ON operations (state, run_after, id);
CREATE INDEX operations_of_source ON operations (source, id);
CREATE UNIQUE INDEX operations_of_plan ON operations (kind, source, plan, nominal);
CREATE TABLE operation_log (
    operation TEXT NOT NULL REFERENCES operations (id) ON DELETE CASCADE,
    number BIGINT NOT NULL,
    time BIGINT NOT NULL,
    level TEXT NOT NULL,
    message TEXT NOT NULL,
    PRIMARY KEY (operation, number)
);
CREATE TABLE audit (
    number BIGINT PRIMARY KEY,
    time BIGINT NOT NULL,
    actor TEXT NOT NULL,
    action TEXT NOT NULL,
    object TEXT NOT NULL,
    details TEXT NOT NULL,
    digest TEXT NOT NULL
);
CREATE TABLE tokens (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    digest TEXT NOT NULL UNIQUE,
    roles TEXT NOT NULL,
    created BIGINT NOT NULL,
    created_by TEXT NOT NULL,
    expires BIGINT,
    revoked BIGINT
);
)",
    // Who may what: second factors, answers that are given again to
    // the same request, and what waits for a second person.
    R"(
CREATE UNIQUE INDEX tokens_by_name ON tokens (name);
CREATE TABLE second_factors (
    token TEXT PRIMARY KEY REFERENCES tokens (id) ON DELETE CASCADE,
    seed TEXT NOT NULL,
    last_step BIGINT NOT NULL
);
CREATE TABLE answers (
    token TEXT NOT NULL,
    key TEXT NOT NULL,
    request TEXT NOT NULL,
    answer TEXT NOT NULL,
    created BIGINT NOT NULL,
    PRIMARY KEY (token, key)
);
CREATE INDEX answers_by_time ON answers (created);
CREATE TABLE approvals (
    id TEXT PRIMARY KEY,
    action TEXT NOT NULL,
    request TEXT NOT NULL,
    requested_by TEXT NOT NULL,
    created BIGINT NOT NULL,
    expires BIGINT NOT NULL,
    state TEXT NOT NULL,
    decided_by TEXT,
    decided BIGINT,
    answer TEXT
);
CREATE INDEX approvals_by_state ON approvals (state, id);
)",
    // Watching: alerts, notices, and what is remembered of measurements.
    watch_tables,
    // What was interrupted has not failed. And who carries out what was approved, until when.
    R"(
ALTER TABLE operations ADD COLUMN failures BIGINT NOT NULL DEFAULT 0;
ALTER TABLE operations ADD COLUMN interruptions BIGINT NOT NULL DEFAULT 0;
ALTER TABLE approvals ADD COLUMN carried_until BIGINT;
UPDATE approvals SET carried_until = decided WHERE state = 'approved' AND answer IS NULL;
)",
    // Policies that were made by API.
    R"(
CREATE TABLE policies (
    name TEXT PRIMARY KEY,
    body TEXT NOT NULL,
    statement TEXT NOT NULL,
    changed BIGINT NOT NULL,
    changed_by TEXT NOT NULL
);
)",
    // Whether something was entered before.
    R"(
CREATE INDEX audit_by_object ON audit (action, object);
)",
    // What takes its server along each time is not begun for ever.
    R"(
ALTER TABLE operations ADD COLUMN losses BIGINT NOT NULL DEFAULT 0;
ALTER TABLE operations ADD COLUMN furthest BIGINT NOT NULL DEFAULT 0;
)",
    // Checklists: since when their items are known, and what was seen to.
    R"(
CREATE TABLE checklist_items (
    list TEXT NOT NULL,
    item TEXT NOT NULL,
    since BIGINT NOT NULL,
    PRIMARY KEY (list, item)
);
CREATE TABLE checklist_ticks (
    list TEXT NOT NULL,
    item TEXT NOT NULL,
    period BIGINT NOT NULL,
    at BIGINT NOT NULL,
    ticked_by TEXT,
    note TEXT NOT NULL,
    PRIMARY KEY (list, item, period)
);
CREATE INDEX checklist_ticks_by_time ON checklist_ticks (list, at);
)"};

} // namespace

std::int64_t catalog_version() { return static_cast<std::int64_t>(steps.size()); }

void migrate(Database& database) {
    database.transaction([&] {
        database.lock(CatalogLock::migration);
        database.execute("CREATE TABLE IF NOT EXISTS catalog_version (version BIGINT NOT NULL)");
        const auto rows = database.query("SELECT version FROM catalog_version");
        const std::int64_t version = rows.empty() ? 0 : rows.front().number(0);
        if (version > catalog_version()) {
            throw Error(ErrorCode::incompatible,
                        fmt::format("the catalog is of version {}, and this program knows {}", version,
                                    catalog_version()),
                        "use the newer version of Holdfast that was used before");
        }
        if (version == catalog_version()) return;
        for (auto step = static_cast<std::size_t>(version); step < steps.size(); ++step)
            database.execute(steps[step]);
        database.query(rows.empty() ? "INSERT INTO catalog_version VALUES ($1)"
                                    : "UPDATE catalog_version SET version = $1",
                       {sql(catalog_version())});
    });
}

} // namespace holdfast
