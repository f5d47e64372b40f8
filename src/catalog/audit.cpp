#include "catalog/audit.h"

#include "base/error.h"
#include "base/secret_text.h"
#include "base/sha256.h"

#include <map>

#include <fmt/format.h>

namespace holdfast {

namespace {

constexpr std::size_t entries_at_once = 1000;
constexpr std::size_t most_problems = 20;

const std::string no_digest(64, '0');

AuditEntry entry_of(const SqlRow& row) {
    return {.number = row.number(0),
            .time = row.time(1),
            .actor = row.text(2),
            .action = row.text(3),
            .object = row.text(4),
            .details = row.text(5),
            .digest = row.text(6)};
}

bool has_entry(Database& database, const std::string& action, const std::string& object) {
    return !database
                .query("SELECT 1 FROM audit WHERE action = $1 AND object = $2 LIMIT 1",
                       {sql(action), sql(object)})
                .empty();
}

constexpr const char* columns = "number, time, actor, action, object, details, digest";

} // namespace

std::string audit_digest(const AuditEntry& entry, const std::string& previous) {
    ByteWriter out;
    out.sized(previous);
    out.u64(static_cast<std::uint64_t>(entry.number));
    out.u64(static_cast<std::uint64_t>(entry.time.time_since_epoch().count()));
    out.sized(entry.actor);
    out.sized(entry.action);
    out.sized(entry.object);
    out.sized(entry.details);
    return sha256_hex(out.bytes());
}

AuditEntry Audit::append(Database& database, const std::string& actor, const std::string& action,
                         const std::string& object, const std::string& details) {
    database.lock(CatalogLock::audit);
    const auto last = database.query("SELECT number, digest FROM audit ORDER BY number DESC LIMIT 1");
    AuditEntry entry{.number = last.empty() ? 1 : last.front().number(0) + 1,
                     .time = clock_.now(),
                     .actor = actor,
                     .action = action,
                     // Auditors read it, and nothing in it is ever changed.
                     .object = without_secrets(object),
                     .details = json_without_secrets(details),
                     .digest = {}};
    entry.digest = audit_digest(entry, last.empty() ? no_digest : last.front().text(1));
    database.query("INSERT INTO audit (number, time, actor, action, object, details, digest) "
                   "VALUES ($1, $2, $3, $4, $5, $6, $7)",
                   {sql(entry.number), sql(entry.time), sql(entry.actor), sql(entry.action),
                    sql(entry.object), sql(entry.details), sql(entry.digest)});
    return entry;
}

AuditEntry Audit::append(const std::string& actor, const std::string& action, const std::string& object,
                         const std::string& details) {
    AuditEntry entry;
    catalog_.transaction(
        [&](Database& database) { entry = append(database, actor, action, object, details); });
    return entry;
}

std::vector<std::string> Audit::without(const std::string& action, const std::vector<std::string>& objects) {
    return catalog_.with([&](Database& database) {
        std::vector<std::string> missing;
        for (const std::string& object : objects)
            if (!has_entry(database, action, object)) missing.push_back(object);
        return missing;
    });
}

std::size_t Audit::append_missing(const std::string& action, const std::vector<Deed>& deeds) {
    std::size_t appended = 0;
    catalog_.transaction([&](Database& database) {
        database.lock(CatalogLock::audit);
        appended = 0;
        for (const Deed& deed : deeds) {
            if (has_entry(database, action, deed.object)) continue;
            append(database, deed.actor, action, deed.object, deed.details);
            ++appended;
        }
    });
    return appended;
}

AuditHead Audit::head() {
    const auto rows = catalog_.with([](Database& database) {
        return database.query("SELECT number, digest FROM audit ORDER BY number DESC LIMIT 1");
    });
    return rows.empty() ? AuditHead{} : AuditHead{rows.front().number(0), rows.front().text(1)};
}

std::string Audit::first_digest() {
    const auto rows = catalog_.with(
        [](Database& database) { return database.query("SELECT digest FROM audit WHERE number = 1"); });
    return rows.empty() ? "" : rows.front().text(0);
}

void Audit::read(std::int64_t first, const std::function<bool(const AuditEntry&)>& visit) {
    while (true) {
        const auto rows = catalog_.with([&](Database& database) {
            return database.query(
                fmt::format("SELECT {} FROM audit WHERE number >= $1 ORDER BY number LIMIT {}", columns,
                            entries_at_once),
                {sql(first)});
        });
        for (const SqlRow& row : rows)
            if (!visit(entry_of(row))) return;
        if (rows.size() < entries_at_once) return;
        first = rows.back().number(0) + 1;
    }
}

AuditCheck Audit::verify(const std::vector<AuditHead>& known_heads) {
    AuditCheck check;
    std::multimap<std::int64_t, std::string> heads;
    for (const AuditHead& head : known_heads)
        if (head.number > 0) heads.emplace(head.number, head.digest);
    const auto problem = [&](std::string text) {
        if (check.problems.size() < most_problems) check.problems.push_back(std::move(text));
    };
    std::string previous = no_digest;
    read(1, [&](const AuditEntry& entry) {
        if (entry.number != check.head.number + 1) {
            problem(fmt::format("entry {} follows entry {}: what was between them is gone", entry.number,
                                check.head.number));
        } else if (entry.digest != audit_digest(entry, previous)) {
            problem(
                fmt::format("entry {} of {} is not as it was written", entry.number, to_rfc3339(entry.time)));
        }
        const auto [begin, end] = heads.equal_range(entry.number);
        for (auto head = begin; head != end; ++head) {
            if (head->second != entry.digest)
                problem(fmt::format("entry {} is another one than was seen before", entry.number));
        }
        ++check.entries;
        check.head = {entry.number, entry.digest};
        previous = entry.digest;
        return true;
    });
    if (!heads.empty() && heads.rbegin()->first > check.head.number) {
        problem(fmt::format("the trail ends with entry {}, and entry {} was seen before", check.head.number,
                            heads.rbegin()->first));
    }
    return check;
}

} // namespace holdfast
