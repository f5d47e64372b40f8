#include "watch/alert_round.h"

#include <algorithm>

#include <fmt/format.h>

namespace holdfast {

AlertRound::AlertRound(Alerts& alerts, Database& database, Timestamp now)
    : alerts_(alerts),
      settings_(alerts.settings()),
      database_(database),
      now_(now),
      silences_(load_silences(database, now, false)) {
    for (const SqlRow& row :
         database_.query(fmt::format("SELECT {} FROM alerts WHERE state <> 'resolved'", alert_columns))) {
        Alert alert = alert_of(row);
        const Key key{alert.rule, alert.subject};
        open_.emplace(key, std::move(alert));
    }
}

void AlertRound::judge(const Judgement& judgement) {
    const Key key{judgement.rule->name, judgement.subject};
    // A subject that is named twice is judged once; the worst counts.
    if (!judged_.insert(key).second && judgement.verdict != Verdict::breach) return;
    const auto open = open_.find(key);
    switch (judgement.verdict) {
    case Verdict::unknown:
        return;
    case Verdict::breach:
        return breach(judgement);
    case Verdict::between:
        if (open == open_.end()) return;
        if (open->second.state == AlertState::pending) return drop_pending(open->second);
        open->second.clear_since.reset();
        open->second.clear_evaluations = 0;
        return update_alert(database_, open->second);
    case Verdict::clear:
        if (open != open_.end()) cease(judgement, open->second);
        return;
    }
}

bool AlertRound::counts_again(const Alert& alert) const {
    // A clock that went back must not keep anything from being counted.
    return now_ < alert.evaluated || now_ - alert.evaluated >= settings_.spacing;
}

void AlertRound::breach(const Judgement& judgement) {
    const auto open = open_.find({std::string(judgement.rule->name), judgement.subject});
    if (open == open_.end()) return begin(judgement);
    Alert& alert = open->second;
    if (counts_again(alert)) {
        ++alert.evaluations;
        alert.evaluated = now_;
    }
    alert.summary = judgement.summary;
    alert.value = judgement.value;
    alert.threshold = judgement.threshold;
    alert.clear_since.reset();
    alert.clear_evaluations = 0;
    if (alert.state == AlertState::pending) {
        alert.severity = judgement.severity;
        fire_if_held(*judgement.rule, alert);
    } else if (judgement.severity < alert.severity) {
        worsen(alert, judgement.severity);
    }
    update_alert(database_, alert);
}

void AlertRound::begin(const Judgement& judgement) {
    Alert alert;
    alert.id = alerts_.new_id();
    alert.rule = judgement.rule->name;
    alert.subject = judgement.subject;
    alert.subject_kind = to_string(judgement.rule->subject);
    alert.severity = judgement.severity;
    alert.summary = judgement.summary;
    alert.value = judgement.value;
    alert.threshold = judgement.threshold;
    alert.since = now_;
    alert.evaluations = 1;
    alert.evaluated = now_;
    insert_alert(database_, alert);
    fire_if_held(*judgement.rule, alert);
    if (alert.state == AlertState::firing) update_alert(database_, alert);
    const Key key{alert.rule, alert.subject};
    open_.emplace(key, std::move(alert));
}

void AlertRound::fire_if_held(const Rule& rule, Alert& alert) {
    const RuleTiming timing = settings_.rules.timing(rule);
    // The clock may have gone back meanwhile.
    alert.since = std::min(alert.since, now_);
    if (alert.evaluations < timing.evaluations || now_ - alert.since < timing.hold_for) return;
    alert.state = AlertState::firing;
    alert.fired = now_;
    add_event(database_, alert.id, {.time = now_, .event = "fired", .actor = {}, .text = alert.summary});
}

void AlertRound::worsen(Alert& alert, Severity severity) {
    alert.severity = severity;
    // Who acknowledged the lesser evil has not seen this one.
    alert.state = AlertState::firing;
    alert.level = 0;
    alert.next_level.reset();
    add_event(database_, alert.id, {.time = now_, .event = "worsened", .actor = {}, .text = alert.summary});
}

void AlertRound::drop_pending(const Alert& alert) {
    database_.query("DELETE FROM alerts WHERE id = $1 AND state = 'pending'", {sql(alert.id)});
    open_.erase({alert.rule, alert.subject});
}

void AlertRound::cease(const Judgement& judgement, Alert& alert) {
    if (alert.state == AlertState::pending) return drop_pending(alert);
    if (counts_again(alert) || !alert.clear_since) {
        ++alert.clear_evaluations;
        alert.evaluated = now_;
    }
    alert.clear_since = std::min(alert.clear_since.value_or(now_), now_);
    const RuleTiming timing = settings_.rules.timing(*judgement.rule);
    if (alert.clear_evaluations < timing.clear_evaluations || now_ - *alert.clear_since < timing.clear_for)
        return update_alert(database_, alert);
    end(alert, judgement.summary);
}

void AlertRound::end(Alert& alert, std::string_view text) {
    const AlertEvent event{.time = now_, .event = "resolved", .actor = {}, .text = std::string(text)};
    alert.state = AlertState::resolved;
    alert.resolved = now_;
    alert.resolved_by = "";
    alert.next_level.reset();
    update_alert(database_, alert);
    queue_followups(database_, settings_, alert, add_event(database_, alert.id, event), NoticeEvent::resolve,
                    event);
    const Key key{alert.rule, alert.subject};
    open_.erase(key);
}

void AlertRound::end_unjudged(bool complete) {
    std::vector<std::pair<Key, std::string_view>> over;
    for (const auto& [key, alert] : open_) {
        if (judged_.contains(key)) continue;
        const Rule* rule = find_rule(key.first);
        if (rule == nullptr || !settings_.rules.is_on(*rule)) {
            over.emplace_back(key, "the rule is switched off");
        } else if (complete && rule->subject != RuleSubject::server) {
            // Servers judge themselves only; of one that is gone somebody has to say so.
            over.emplace_back(key, "this is not watched any more");
        }
    }
    for (const auto& [key, text] : over) {
        Alert& alert = open_.at(key);
        if (alert.state == AlertState::pending) {
            drop_pending(alert);
        } else {
            end(alert, text);
        }
    }
}

bool AlertRound::silenced(const Alert& alert) const {
    return std::ranges::any_of(
        silences_, [&](const Silence& silence) { return silence.covers(alert.rule, alert.subject, now_); });
}

void AlertRound::tell() {
    for (auto& [key, alert] : open_) {
        if (alert.state != AlertState::firing || silenced(alert)) continue;
        // What is due later than any interval is due by a clock that went back.
        const bool later = alert.next_level && *alert.next_level > now_ &&
                           *alert.next_level - now_ <=
                               std::max<Duration>(settings_.remind_every, escalation_interval(Severity::p4));
        if (later) continue;
        const auto next =
            settings_.routing.step_after(alert.rule, alert.subject, alert.severity, alert.level);
        if (next) {
            tell_step(alert, *next);
        } else if (alert.level > 0 && alert.next_level) {
            tell_step(alert, alert.level);
        }
    }
}

void AlertRound::tell_step(Alert& alert, std::int64_t step) {
    const auto channels = settings_.routing.channels(alert.rule, alert.subject, alert.severity, step);
    const std::string_view word = alert.level == 0 ? "told" : step == alert.level ? "reminded" : "escalated";
    std::string names;
    for (const std::string& channel : channels) names += (names.empty() ? "" : ", ") + channel;
    alert.level = step;
    const bool more =
        settings_.routing.step_after(alert.rule, alert.subject, alert.severity, step).has_value();
    alert.next_level = now_ + (more ? escalation_interval(alert.severity) : settings_.remind_every);
    update_alert(database_, alert);
    const AlertEvent event{.time = now_, .event = std::string(word), .actor = {}, .text = names};
    queue_notices(database_, settings_, alert, add_event(database_, alert.id, event), NoticeEvent::trigger,
                  event, channels);
}

} // namespace holdfast
