#include "catalog/kept_policies.h"

namespace holdfast {

namespace {

KeptPolicy policy_of(const SqlRow& row) {
    return {.name = row.text(0),
            .body = row.text(1),
            .statement = row.text(2),
            .changed = row.time(3),
            .changed_by = row.text(4)};
}

} // namespace

std::vector<KeptPolicy> KeptPolicies::list() {
    return catalog_.with([&](Database& database) { return list(database); });
}

std::vector<KeptPolicy> KeptPolicies::list(Database& database) {
    const auto rows =
        database.query("SELECT name, body, statement, changed, changed_by FROM policies ORDER BY name");
    std::vector<KeptPolicy> policies;
    for (const SqlRow& row : rows) policies.push_back(policy_of(row));
    return policies;
}

std::optional<KeptPolicy> KeptPolicies::find(const std::string& name) {
    return catalog_.with([&](Database& database) { return find(database, name); });
}

void KeptPolicies::lock(Database& database) { database.lock(CatalogLock::policies); }

std::optional<KeptPolicy> KeptPolicies::find(Database& database, const std::string& name) {
    const auto rows = database.query(
        "SELECT name, body, statement, changed, changed_by FROM policies WHERE name = $1", {sql(name)});
    return rows.empty() ? std::nullopt : std::optional(policy_of(rows.front()));
}

void KeptPolicies::put(Database& database, const KeptPolicy& policy) {
    database.query("INSERT INTO policies (name, body, statement, changed, changed_by) "
                   "VALUES ($1, $2, $3, $4, $5) ON CONFLICT (name) DO UPDATE SET body = excluded.body, "
                   "statement = excluded.statement, changed = excluded.changed, "
                   "changed_by = excluded.changed_by",
                   {sql(policy.name), sql(policy.body), sql(policy.statement), sql(policy.changed),
                    sql(policy.changed_by)});
}

void KeptPolicies::remove(Database& database, const std::string& name) {
    database.query("DELETE FROM policies WHERE name = $1", {sql(name)});
}

} // namespace holdfast
