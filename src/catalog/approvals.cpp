#include "catalog/approvals.h"

#include "base/error.h"

#include <algorithm>

#include <fmt/format.h>

namespace holdfast {

namespace {

constexpr auto time_to_decide = std::chrono::hours(24);
constexpr auto time_to_carry_out = std::chrono::minutes(1);
constexpr std::size_t most_at_once = 1000;
constexpr std::string_view columns =
    "id, action, request, requested_by, created, expires, state, decided_by, decided, answer";

Approval approval_of(const SqlRow& row, Timestamp now) {
    Approval approval{.id = row.text(0),
                      .action = row.text(1),
                      .request = row.text(2),
                      .requested_by = row.text(3),
                      .created = row.time(4),
                      .expires = row.time(5),
                      .state = row.text(6),
                      .decided_by = row.optional_text(7),
                      .decided = row.optional_time(8),
                      .answer = row.optional_text(9)};
    if (approval.state == "pending" && approval.expires <= now) approval.state = "expired";
    return approval;
}

} // namespace

Approval Approvals::add(Database& database, const std::string& action, const std::string& request,
                        const std::string& requested_by) {
    const Timestamp now = clock_.now();
    const auto milliseconds =
        std::chrono::duration_cast<std::chrono::milliseconds>(now.time_since_epoch()).count();
    Approval approval{.id = fmt::format("ap_{:012x}{}", milliseconds, random_.id<6>().hex()),
                      .action = action,
                      .request = request,
                      .requested_by = requested_by,
                      .created = now,
                      .expires = now + time_to_decide,
                      .state = "pending",
                      .decided_by = std::nullopt,
                      .decided = std::nullopt,
                      .answer = std::nullopt};
    database.query("INSERT INTO approvals (id, action, request, requested_by, created, expires, state) "
                   "VALUES ($1, $2, $3, $4, $5, $6, 'pending')",
                   {sql(approval.id), sql(approval.action), sql(approval.request), sql(approval.requested_by),
                    sql(approval.created), sql(approval.expires)});
    return approval;
}

std::optional<Approval> Approvals::find(const std::string& id) {
    const auto rows = catalog_.with([&](Database& database) {
        return database.query(fmt::format("SELECT {} FROM approvals WHERE id = $1", columns), {sql(id)});
    });
    return rows.empty() ? std::nullopt : std::optional(approval_of(rows.front(), clock_.now()));
}

std::vector<Approval> Approvals::list(const std::string& before, std::size_t limit) {
    const auto rows = catalog_.with([&](Database& database) {
        return database.query(fmt::format("SELECT {} FROM approvals WHERE $1 = '' OR id < $1 "
                                          "ORDER BY id DESC LIMIT CAST($2 AS BIGINT)",
                                          columns),
                              {sql(before), sql(static_cast<std::int64_t>(std::min(limit, most_at_once)))});
    });
    std::vector<Approval> approvals;
    for (const SqlRow& row : rows) approvals.push_back(approval_of(row, clock_.now()));
    return approvals;
}

bool Approvals::decide(Database& database, const std::string& id, bool approved, const std::string& by) {
    return !database
                .query("UPDATE approvals SET state = $2, decided_by = $3, decided = $4, carried_until = $5 "
                       "WHERE id = $1 AND requested_by <> $3 AND ((state = 'pending' AND expires > $4) OR "
                       // What could not be done yet is called back, while nobody is at it.
                       "($2 = 'rejected' AND state = 'approved' AND answer IS NULL AND carried_until <= $6)) "
                       "RETURNING id",
                       {sql(id), sql(approved ? "approved" : "rejected"), sql(by), sql(clock_.now()),
                        sql(now(database) + time_to_carry_out), sql(now(database))})
                .empty();
}

std::optional<Approval> Approvals::claim_left() {
    std::optional<Approval> left;
    catalog_.transaction([&](Database& database) {
        const Timestamp time = now(database);
        const auto rows = database.query(
            fmt::format("UPDATE approvals SET carried_until = $2 WHERE id = (SELECT id FROM approvals "
                        "WHERE state = 'approved' AND answer IS NULL AND carried_until <= $1 "
                        "ORDER BY id LIMIT 1{}) RETURNING {}",
                        database.skip_locked(), columns),
            {sql(time), sql(time + time_to_carry_out)});
        if (!rows.empty()) left = approval_of(rows.front(), clock_.now());
    });
    return left;
}

void Approvals::require_unanswered(Database& database, const std::string& id) {
    // Also has others that are about to do the same wait for the end of this transaction.
    const auto rows = database.query(
        "UPDATE approvals SET carried_until = $2 WHERE id = $1 AND state = 'approved' AND answer IS NULL "
        "RETURNING id",
        {sql(id), sql(now(database) + time_to_carry_out)});
    if (rows.empty())
        throw Error(ErrorCode::fenced,
                    fmt::format("{} is not to be done any more: it has been done, or called back", id));
}

void Approvals::keep_answer(Database& database, const std::string& id, const std::string& answer) {
    database.query("UPDATE approvals SET answer = $2 WHERE id = $1 AND state = 'approved' AND answer IS NULL",
                   {sql(id), sql(answer)});
}

} // namespace holdfast
