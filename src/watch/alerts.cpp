#include "watch/alerts.h"

#include "base/error.h"
#include "watch/alert_round.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>

namespace holdfast {

namespace {

constexpr std::array<std::pair<AlertState, std::string_view>, 4> state_names{{
    {AlertState::pending, "pending"},
    {AlertState::firing, "firing"},
    {AlertState::acknowledged, "acknowledged"},
    {AlertState::resolved, "resolved"},
}};
constexpr std::size_t most_at_once = 10'000;
constexpr Duration longest_silence = std::chrono::days(366);
constexpr std::size_t longest_text = 1000;

// "state IN ('firing', 'pending')", of names that are ours.
template <typename Values>
std::string one_of(std::string_view column, const Values& values) {
    std::string names;
    for (const auto& value : values)
        names += fmt::format("{}'{}'", names.empty() ? "" : ", ", to_string(value));
    return fmt::format(" AND {} IN ({})", column, names);
}

void expect_words(std::string_view text, std::string_view what) {
    if (!text.empty() && text.size() <= longest_text) return;
    throw Error(ErrorCode::usage,
                fmt::format("{} must not be empty, nor longer than {} bytes", what, longest_text))
        .with_field(std::string(what));
}

} // namespace

std::string_view to_string(AlertState state) {
    for (const auto& [known, name] : state_names)
        if (known == state) return name;
    return "pending";
}

AlertState alert_state(std::string_view text) {
    for (const auto& [state, name] : state_names)
        if (name == text) return state;
    throw Error(ErrorCode::usage, fmt::format("'{}' is no state of an alert", text),
                "pending, firing, acknowledged or resolved");
}

bool Silence::covers(std::string_view rule_name, std::string_view subject_name, Timestamp at) const {
    return begins <= at && at < ends && matches_pattern(rule, rule_name) &&
           matches_pattern(subject, subject_name);
}

// As ids of operations are: milliseconds first, then enough at random that no two servers draw the same.
std::string Alerts::new_id() {
    const auto milliseconds =
        std::chrono::floor<std::chrono::milliseconds>(clock_.now()).time_since_epoch().count();
    return fmt::format("{:012x}{}", static_cast<std::uint64_t>(milliseconds) & 0xffff'ffff'ffff,
                       random_.id<10>().hex());
}

void Alerts::apply(const std::vector<Judgement>& judgements, bool complete) {
    catalog_.transaction([&](Database& database) {
        // One round at a time, so that an alert is open once.
        database.lock(CatalogLock::alerts);
        AlertRound round(*this, database, clock_.now());
        for (const Judgement& judgement : judgements) round.judge(judgement);
        round.end_unjudged(complete);
        round.tell();
    });
}

std::optional<Alert> Alerts::find(const std::string& id) {
    const auto rows = catalog_.with([&](Database& database) {
        return database.query(fmt::format("SELECT {} FROM alerts WHERE id = $1", alert_columns), {sql(id)});
    });
    return rows.empty() ? std::nullopt : std::optional(alert_of(rows.front()));
}

std::vector<Alert> Alerts::list(const AlertFilter& filter) {
    std::string statement = fmt::format("SELECT {} FROM alerts WHERE 1 = 1", alert_columns);
    SqlValues values;
    const auto add = [&](const char* condition, SqlValue value) {
        values.push_back(std::move(value));
        statement += fmt::format(" AND {} ${}", condition, values.size());
    };
    if (filter.rule) add("rule =", sql(*filter.rule));
    if (filter.subject) add("subject =", sql(*filter.subject));
    if (filter.before) add("id <", sql(*filter.before));
    if (!filter.states.empty()) statement += one_of("state", filter.states);
    if (!filter.severities.empty()) statement += one_of("severity", filter.severities);
    values.push_back(static_cast<std::int64_t>(std::min(filter.limit, most_at_once)));
    statement += fmt::format(" ORDER BY id DESC LIMIT CAST(${} AS BIGINT)", values.size());
    const auto rows = catalog_.with([&](Database& database) { return database.query(statement, values); });
    std::vector<Alert> alerts;
    for (const SqlRow& row : rows) alerts.push_back(alert_of(row));
    return alerts;
}

std::vector<AlertEvent> Alerts::events(const std::string& id) {
    const auto rows = catalog_.with([&](Database& database) {
        return database.query(
            "SELECT time, event, actor, text FROM alert_events WHERE alert = $1 ORDER BY number", {sql(id)});
    });
    std::vector<AlertEvent> events;
    for (const SqlRow& row : rows)
        events.push_back(
            {.time = row.time(0), .event = row.text(1), .actor = row.text(2), .text = row.text(3)});
    return events;
}

std::map<Severity, std::int64_t> Alerts::open_counts() {
    const auto rows = catalog_.with([&](Database& database) {
        return database.query("SELECT severity, count(*) FROM alerts WHERE state IN ('firing', "
                              "'acknowledged') GROUP BY severity");
    });
    std::map<Severity, std::int64_t> counts;
    for (const Severity severity : all_severities) counts[severity] = 0;
    for (const SqlRow& row : rows) counts[severity_from(row.text(0))] = row.number(1);
    return counts;
}

bool Alerts::acknowledge(const std::string& id, const std::string& by, const std::string& text) {
    expect_words(by, "by");
    bool done = false;
    catalog_.transaction([&](Database& database) {
        database.lock(CatalogLock::alerts);
        const AlertEvent event{.time = clock_.now(), .event = "acknowledged", .actor = by, .text = text};
        const auto rows = database.query(
            fmt::format("UPDATE alerts SET state = 'acknowledged', acknowledged = $1, acknowledged_by = $2, "
                        "next_level = NULL WHERE id = $3 AND state = 'firing' RETURNING {}",
                        alert_columns),
            {sql(event.time), sql(by), sql(id)});
        if (rows.empty()) return;
        queue_followups(database, settings_, alert_of(rows.front()), add_event(database, id, event),
                        NoticeEvent::acknowledge, event);
        done = true;
    });
    return done;
}

bool Alerts::resolve(const std::string& id, const std::string& by, const std::string& text) {
    expect_words(by, "by");
    bool done = false;
    catalog_.transaction([&](Database& database) {
        database.lock(CatalogLock::alerts);
        const AlertEvent event{.time = clock_.now(), .event = "resolved", .actor = by, .text = text};
        const auto rows = database.query(
            fmt::format(
                "UPDATE alerts SET state = 'resolved', resolved = $1, resolved_by = $2, "
                "next_level = NULL WHERE id = $3 AND state IN ('firing', 'acknowledged') RETURNING {}",
                alert_columns),
            {sql(event.time), sql(by), sql(id)});
        if (rows.empty()) return;
        queue_followups(database, settings_, alert_of(rows.front()), add_event(database, id, event),
                        NoticeEvent::resolve, event);
        done = true;
    });
    return done;
}

std::string Alerts::silence(Silence silence) {
    const Timestamp now = clock_.now();
    expect_words(silence.rule, "rule");
    expect_words(silence.subject, "subject");
    expect_words(silence.owner, "owner");
    expect_words(silence.reason, "reason");
    if (silence.begins == Timestamp()) silence.begins = now;
    if (silence.rule.find('*') == std::string::npos && find_rule(silence.rule) == nullptr) {
        throw Error(ErrorCode::usage, fmt::format("there is no rule '{}'", silence.rule),
                    "'*' stands for all of them")
            .with_field("rule");
    }
    if (silence.ends <= now || silence.ends <= silence.begins) {
        throw Error(ErrorCode::usage, "the silence ends before it begins", "name a time to come")
            .with_field("ends");
    }
    if (silence.ends - now > longest_silence) {
        throw Error(ErrorCode::usage, "a silence lasts a year at most", "switch the rule off instead")
            .with_field("ends");
    }
    silence.id = new_id();
    catalog_.with([&](Database& database) {
        database.query("INSERT INTO silences (id, rule, subject, owner, reason, begins, ends) VALUES ($1, "
                       "$2, $3, $4, $5, $6, $7)",
                       {sql(silence.id), sql(silence.rule), sql(silence.subject), sql(silence.owner),
                        sql(silence.reason), sql(silence.begins), sql(silence.ends)});
    });
    return silence.id;
}

bool Alerts::end_silence(const std::string& id, const std::string& by) {
    expect_words(by, "by");
    const auto rows = catalog_.with([&](Database& database) {
        return database.query(
            "UPDATE silences SET ends = $1, ended_by = $2 WHERE id = $3 AND ends > $1 RETURNING id",
            {sql(clock_.now()), sql(by), sql(id)});
    });
    return !rows.empty();
}

std::vector<Silence> Alerts::silences(bool also_ended) {
    return catalog_.with(
        [&](Database& database) { return load_silences(database, clock_.now(), also_ended); });
}

std::int64_t Alerts::remove_resolved_before(Timestamp time) {
    std::int64_t removed = 0;
    catalog_.transaction([&](Database& database) {
        database.query(
            "DELETE FROM notifications WHERE state <> 'queued' AND alert IN (SELECT id FROM alerts "
            "WHERE state = 'resolved' AND resolved < $1)",
            {sql(time)});
        const auto rows = database.query(
            "DELETE FROM alerts WHERE state = 'resolved' AND resolved < $1 RETURNING id", {sql(time)});
        removed = static_cast<std::int64_t>(rows.size());
    });
    return removed;
}

} // namespace holdfast
