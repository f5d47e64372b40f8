#include "watch/alert_rows.h"

#include <charconv>

#include <fmt/format.h>

namespace holdfast {

namespace {

// The catalog has whole numbers and texts.
SqlValue number_text(const std::optional<double>& number) {
    return number ? sql(fmt::format("{}", *number)) : SqlValue();
}

std::optional<double> read_number(const std::optional<std::string>& text) {
    double value = 0;
    if (!text) return std::nullopt;
    const auto read = std::from_chars(text->data(), text->data() + text->size(), value);
    return read.ec == std::errc() ? std::optional(value) : std::nullopt;
}

} // namespace

Alert alert_of(const SqlRow& row) {
    Alert alert;
    alert.id = row.text(0);
    alert.rule = row.text(1);
    alert.subject = row.text(2);
    alert.subject_kind = row.text(3);
    alert.severity = severity_from(row.text(4));
    alert.state = alert_state(row.text(5));
    alert.summary = row.text(6);
    alert.value = read_number(row.optional_text(7));
    alert.threshold = read_number(row.optional_text(8));
    alert.since = row.time(9);
    alert.evaluations = row.number(10);
    alert.evaluated = row.time(11);
    alert.fired = row.optional_time(12);
    alert.acknowledged = row.optional_time(13);
    alert.acknowledged_by = row.optional_text(14);
    alert.clear_since = row.optional_time(15);
    alert.clear_evaluations = row.number(16);
    alert.resolved = row.optional_time(17);
    alert.resolved_by = row.optional_text(18);
    alert.level = row.number(19);
    alert.next_level = row.optional_time(20);
    return alert;
}

void insert_alert(Database& database, const Alert& alert) {
    database.query("INSERT INTO alerts (id, rule, subject, subject_kind, severity, state, summary, value, "
                   "threshold, since, evaluations, evaluated, clear_evaluations, level) "
                   "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, 0, 0)",
                   {sql(alert.id), sql(alert.rule), sql(alert.subject), sql(alert.subject_kind),
                    sql(to_string(alert.severity)), sql(to_string(alert.state)), sql(alert.summary),
                    number_text(alert.value), number_text(alert.threshold), sql(alert.since),
                    sql(alert.evaluations), sql(alert.evaluated)});
}

void update_alert(Database& database, const Alert& alert) {
    database.query(
        "UPDATE alerts SET severity = $2, state = $3, summary = $4, value = $5, threshold = $6, "
        "evaluations = $7, evaluated = $8, fired = $9, acknowledged = $10, acknowledged_by = $11, "
        "clear_since = $12, clear_evaluations = $13, resolved = $14, resolved_by = $15, level = $16, "
        "next_level = $17, since = $18 WHERE id = $1",
        {sql(alert.id), sql(to_string(alert.severity)), sql(to_string(alert.state)), sql(alert.summary),
         number_text(alert.value), number_text(alert.threshold), sql(alert.evaluations), sql(alert.evaluated),
         sql(alert.fired), sql(alert.acknowledged), sql(alert.acknowledged_by), sql(alert.clear_since),
         sql(alert.clear_evaluations), sql(alert.resolved), sql(alert.resolved_by), sql(alert.level),
         sql(alert.next_level), sql(alert.since)});
}

std::int64_t add_event(Database& database, const std::string& alert, const AlertEvent& event) {
    return single_number(database.query(
        "INSERT INTO alert_events (alert, number, time, event, actor, text) "
        "SELECT $1, COALESCE(max(number), 0) + 1, CAST($2 AS BIGINT), $3, $4, $5 FROM alert_events "
        "WHERE alert = $1 RETURNING number",
        {sql(alert), sql(event.time), sql(event.event), sql(event.actor), sql(event.text)}));
}

void queue_notices(Database& database, const AlertSettings& settings, const Alert& alert, std::int64_t number,
                   NoticeEvent event, const AlertEvent& what, const std::vector<std::string>& channels) {
    const Rule* rule = find_rule(alert.rule);
    const Notice notice{.id = {},
                        .dedup_key = dedup_key(settings.origin, alert.rule, alert.subject),
                        .event = event,
                        .alert = alert.id,
                        .rule = alert.rule,
                        .title = std::string(rule == nullptr ? std::string_view(alert.rule) : rule->title),
                        .subject = alert.subject,
                        .subject_kind = alert.subject_kind,
                        .severity = alert.severity,
                        .summary =
                            event == NoticeEvent::trigger || what.text.empty() ? alert.summary : what.text,
                        .runbook = rule == nullptr ? std::string() : rule->runbook(alert.subject),
                        .since = alert.since,
                        .time = what.time,
                        .level = alert.level,
                        .actor = what.actor,
                        .origin = settings.origin};
    for (const std::string& channel : channels) {
        // The same for the same event, whatever the clock says, and ascending within an alert.
        const std::string id = fmt::format("{}-{:06}-{}", alert.id, number, channel);
        Outbox::add(database, id, channel, notice);
    }
}

void queue_followups(Database& database, const AlertSettings& settings, const Alert& alert,
                     std::int64_t number, NoticeEvent event, const AlertEvent& what) {
    std::vector<std::string> channels;
    for (const SqlRow& row :
         database.query("SELECT DISTINCT channel FROM notifications WHERE alert = $1 AND event = 'trigger'",
                        {sql(alert.id)})) {
        if (settings.routing.tells_end(row.text(0))) channels.push_back(row.text(0));
    }
    queue_notices(database, settings, alert, number, event, what, channels);
}

std::vector<Silence> load_silences(Database& database, Timestamp now, bool also_ended) {
    std::vector<Silence> silences;
    for (const SqlRow& row : database.query("SELECT id, rule, subject, owner, reason, begins, ends, ended_by "
                                            "FROM silences WHERE ends > $1 ORDER BY ends DESC, id",
                                            {sql(also_ended ? Timestamp() : now)})) {
        silences.push_back({.id = row.text(0),
                            .rule = row.text(1),
                            .subject = row.text(2),
                            .owner = row.text(3),
                            .reason = row.text(4),
                            .begins = row.time(5),
                            .ends = row.time(6),
                            .ended_by = row.optional_text(7)});
    }
    return silences;
}

} // namespace holdfast
