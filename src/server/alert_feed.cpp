#include "server/alert_feed.h"

#include "watch/alert_report.h"

#include <vector>

#include <fmt/format.h>

namespace holdfast {

namespace {

constexpr std::size_t most_open = 10'000;
constexpr std::size_t most_new_read = 200;

const std::set<AlertState> unresolved{AlertState::pending, AlertState::firing, AlertState::acknowledged};

// Newest first.
std::vector<Alert> list_open(Alerts& alerts) {
    return alerts.list({.states = unresolved, .limit = most_open});
}

bool stands_out(AlertState state) { return state == AlertState::firing || state == AlertState::acknowledged; }

} // namespace

void AlertFeed::take(const Alert& alert) {
    if (alert.state == AlertState::resolved) {
        known_.erase(alert.id);
    } else {
        known_[alert.id] = {alert.state, alert.severity, alert.level};
    }
    if (stands_out(alert.state)) {
        stands(alert.id, brief_alert_json(alert));
    } else {
        stands_no_more(alert.id);
    }
}

void AlertFeed::note(const Alert& alert) {
    const auto found = known_.find(alert.id);
    const Known before = found == known_.end() ? Known{} : found->second;
    const char* event = nullptr;
    if (alert.state == AlertState::resolved) {
        event = "resolved";
    } else if (alert.state == AlertState::acknowledged) {
        if (before.state != AlertState::acknowledged) event = "acknowledged";
    } else if (alert.state == AlertState::firing) {
        if (before.state == AlertState::pending) {
            event = "fired";
        } else if (before.severity != alert.severity || before.state != AlertState::firing) {
            event = "worsened";
        } else if (alert.level > before.level) {
            event = "escalated";
        }
    }
    take(alert);
    if (event != nullptr)
        tell("alert", fmt::format(R"({{"event":"{}","alert":{}}})", event, brief_alert_json(alert)));
}

void AlertFeed::begin() {
    const auto watch = watch_();
    Alerts& alerts = watch->alerts();
    known_.clear();
    silences_.clear();
    for (const Alert& alert : list_open(alerts)) take(alert);
    for (const Silence& silence : alerts.silences()) silences_[silence.id] = silence_json(silence);
    const auto newest = alerts.list({.states = {}, .limit = 1});
    newest_ = newest.empty() ? "" : newest.front().id;
}

void AlertFeed::follow() {
    const auto watch = watch_();
    Alerts& alerts = watch->alerts();
    const std::vector<Alert> open = list_open(alerts);
    std::set<std::string> still;
    for (const Alert& alert : open) still.insert(alert.id);
    note_over(alerts, still);
    note_brief(alerts, still);
    for (auto alert = open.rbegin(); alert != open.rend(); ++alert) note(*alert);
    note_silences(alerts);
}

// One that was pending and never fired is gone altogether, and nobody heard of it.
void AlertFeed::note_over(Alerts& alerts, const std::set<std::string>& still) {
    std::vector<std::string> gone;
    for (const auto& [id, known] : known_)
        if (!still.contains(id)) gone.push_back(id);
    for (const std::string& id : gone) {
        if (const auto alert = alerts.find(id)) {
            note(*alert);
        } else {
            known_.erase(id);
            stands_no_more(id);
        }
    }
}

// Those that came and went since the last look.
void AlertFeed::note_brief(Alerts& alerts, const std::set<std::string>& still) {
    AlertFilter filter{.states = {}, .limit = most_new_read};
    std::vector<Alert> recent;
    for (bool more = true; more;) {
        const std::vector<Alert> part = alerts.list(filter);
        more = part.size() == most_new_read;
        for (const Alert& alert : part) {
            more = more && alert.id > newest_;
            if (alert.id > newest_) recent.push_back(alert);
        }
        if (more) filter.before = recent.back().id;
    }
    for (auto alert = recent.rbegin(); alert != recent.rend(); ++alert) {
        newest_ = alert->id;
        if (!still.contains(alert->id)) note(*alert);
    }
}

void AlertFeed::note_silences(Alerts& alerts) {
    std::map<std::string, std::string> now;
    for (const Silence& silence : alerts.silences()) now[silence.id] = silence_json(silence);
    const auto tell_of = [&](const char* event, const std::string& json) {
        tell("silence", fmt::format(R"({{"event":"{}","silence":{}}})", event, json));
    };
    for (const auto& [id, json] : silences_)
        if (!now.contains(id)) tell_of("over", json);
    for (const auto& [id, json] : now)
        if (!silences_.contains(id)) tell_of("silenced", json);
    silences_ = std::move(now);
}

} // namespace holdfast
