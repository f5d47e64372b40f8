// Alerts as rows of the catalog. Internal to Alerts and AlertRound.
#pragma once

#include "watch/alerts.h"

namespace holdfast {

inline constexpr std::string_view alert_columns =
    "id, rule, subject, subject_kind, severity, state, summary, value, threshold, since, evaluations, "
    "evaluated, fired, acknowledged, acknowledged_by, clear_since, clear_evaluations, resolved, resolved_by, "
    "level, next_level";

// Of a row with those columns.
Alert alert_of(const SqlRow& row);
void insert_alert(Database& database, const Alert& alert);
// Everything that may change.
void update_alert(Database& database, const Alert& alert);
// Appends to the history; returns the number of the event in it.
std::int64_t add_event(Database& database, const std::string& alert, const AlertEvent& event);
// Queues a notice about event `number` of the alert for each of the channels.
void queue_notices(Database& database, const AlertSettings& settings, const Alert& alert, std::int64_t number,
                   NoticeEvent event, const AlertEvent& what, const std::vector<std::string>& channels);
// Likewise for those that were told that it fires, and want to know how it goes on.
void queue_followups(Database& database, const AlertSettings& settings, const Alert& alert,
                     std::int64_t number, NoticeEvent event, const AlertEvent& what);
std::vector<Silence> load_silences(Database& database, Timestamp now, bool also_ended);

} // namespace holdfast
