#include "watch/alert_report.h"

#include "base/json_text.h"

#include <algorithm>

#include <nlohmann/json.hpp>

namespace holdfast {

namespace {

using Json = nlohmann::ordered_json;

Json time_json(const std::optional<Timestamp>& time) { return time ? Json(to_rfc3339(*time)) : Json(); }

template <typename Value>
Json value_json(const std::optional<Value>& value) {
    return value ? Json(*value) : Json();
}

std::int64_t seconds_in(Duration duration) {
    return std::chrono::duration_cast<std::chrono::seconds>(duration).count();
}

// What lists show of it.
Json brief_json(const Alert& alert) {
    const Rule* rule = find_rule(alert.rule);
    return {{"id", alert.id},
            {"rule", alert.rule},
            {"title", rule == nullptr ? std::string(alert.rule) : std::string(rule->title)},
            {"subject", alert.subject},
            {"subject_kind", alert.subject_kind},
            {"severity", to_string(alert.severity)},
            {"severity_word", severity_word(alert.severity)},
            {"state", to_string(alert.state)},
            {"summary", alert.summary},
            {"value", value_json(alert.value)},
            {"threshold", value_json(alert.threshold)},
            {"since", to_rfc3339(alert.since)},
            {"last_seen", to_rfc3339(alert.evaluated)},
            {"fired", time_json(alert.fired)},
            {"acknowledged", time_json(alert.acknowledged)},
            {"acknowledgedBy", value_json(alert.acknowledged_by)},
            {"resolved", time_json(alert.resolved)},
            {"resolvedBy", value_json(alert.resolved_by)},
            {"escalation_step", alert.level},
            {"next_escalation", time_json(alert.next_level)}};
}

Json json_of(const Silence& silence) {
    return {{"id", silence.id},
            {"rule", silence.rule},
            {"subject", silence.subject},
            {"owner", silence.owner},
            {"reason", silence.reason},
            {"begins", to_rfc3339(silence.begins)},
            {"ends", to_rfc3339(silence.ends)},
            {"ended_by", value_json(silence.ended_by)}};
}

} // namespace

std::string brief_alert_json(const Alert& alert) { return json_text(brief_json(alert)); }
std::string silence_json(const Silence& silence) { return json_text(json_of(silence)); }

std::string alert_json(const Alert& alert, const std::vector<AlertEvent>& events) {
    Json json = brief_json(alert);
    const Rule* rule = find_rule(alert.rule);
    json["runbook"] = rule == nullptr ? std::string() : rule->runbook(alert.subject);
    json["history"] = Json::array();
    for (const AlertEvent& event : events)
        json["history"].push_back({{"time", to_rfc3339(event.time)},
                                   {"event", event.event},
                                   {"actor", event.actor},
                                   {"text", event.text}});
    return json_text(json);
}

std::string alerts_json(const std::vector<Alert>& alerts, const std::map<Severity, std::int64_t>& counts,
                        std::size_t limit) {
    Json json = {{"items", Json::array()}};
    for (const Alert& alert : alerts) json["items"].push_back(brief_json(alert));
    std::int64_t total = 0;
    for (const auto& [severity, count] : counts) {
        json["counts"][std::string(severity_word(severity))] = count;
        total += count;
    }
    json["counts"]["total"] = total;
    json["next"] = !alerts.empty() && alerts.size() >= limit ? Json(alerts.back().id) : Json();
    return json_text(json);
}

std::string silences_json(const std::vector<Silence>& silences) {
    Json json = Json::array();
    for (const Silence& silence : silences) json.push_back(json_of(silence));
    return json_text(json);
}

std::string rules_json(const RuleBook& rules) {
    Json json = Json::array();
    for (const Rule& rule : all_rules()) {
        const RuleTiming timing = rules.timing(rule);
        Json thresholds = Json::object();
        for (const Threshold& threshold : rule.thresholds)
            thresholds[std::string(threshold.name)] = {{"value", rules.threshold(rule, threshold.name)},
                                                       {"meaning", threshold.meaning}};
        json.push_back(
            {{"name", rule.name},
             {"title", rule.title},
             {"subject_kind", to_string(rule.subject)},
             {"on", rules.is_on(rule)},
             {"severity", to_string(rules.severity(rule))},
             {"hold_for_seconds", seconds_in(timing.hold_for)},
             {"evaluations", timing.evaluations},
             {"clear_for_seconds", seconds_in(timing.clear_for)},
             {"clear_evaluations", timing.clear_evaluations},
             {"thresholds", thresholds},
             {"runbook", rule.runbook(std::string(1, '<') + std::string(to_string(rule.subject)) + ">")}});
    }
    return json_text(json);
}

std::string channels_json(const std::vector<ChannelSettings>& channels,
                          const std::vector<ChannelState>& states) {
    Json json = Json::array();
    for (const ChannelSettings& channel : channels) {
        Json severities = Json::array();
        for (const Severity severity : channel.route.severities) severities.push_back(to_string(severity));
        Json one = {{"name", channel.name},
                    {"type", to_string(channel.type)},
                    {"severities", severities},
                    {"rules", channel.route.rules},
                    {"sources", channel.route.subjects},
                    {"step", channel.route.step},
                    {"tells_end", channel.route.tells_end},
                    {"successes", channel.successes}};
        const auto state = std::ranges::find(states, channel.name, &ChannelState::channel);
        if (state != states.end()) {
            one["waiting"] = state->waiting;
            one["sent"] = state->sent;
            one["failed"] = state->failed;
            one["failed_in_a_row"] = state->failed_in_a_row;
            one["last_success"] = time_json(state->last_success);
            one["last_failure"] = time_json(state->last_failure);
            one["last_error"] = state->last_error;
        }
        json.push_back(one);
    }
    return json_text(json);
}

} // namespace holdfast
