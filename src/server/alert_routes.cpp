#include "server/alert_routes.h"

#include "base/error.h"
#include "base/json_text.h"
#include "server/alert_feed.h"
#include "watch/alert_report.h"

#include <algorithm>
#include <sstream>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace holdfast {

namespace {

using api::Call;
using api::Permission;
using api::Response;
using nlohmann::json;

constexpr std::size_t most_recent = 5;

Response answer(std::string body) { return api::json_response(200, std::move(body)); }

Response answer_list(const std::string& items) { return answer(fmt::format("{{\"items\":{}}}", items)); }

// "a,b" of the query, each read by `read`.
template <typename Value, typename Read>
std::set<Value> choices(const Call& call, const char* name, Read read) {
    std::set<Value> values;
    std::istringstream words(call.request().parameter(name).value_or(""));
    for (std::string word; std::getline(words, word, ',');) {
        try {
            values.insert(read(word));
        } catch (const Error& error) {
            throw error.with_field(name);
        }
    }
    return values;
}

Alert require_alert(Alerts& alerts, const std::string& id) {
    const auto alert = alerts.find(id);
    if (!alert) throw Error(ErrorCode::not_found, fmt::format("there is no alert '{}'", id));
    return *alert;
}

Response list_alerts(Call& call, Alerts& alerts) {
    call.expect_parameters({"state", "severity", "rule", "source", "limit", "cursor"});
    const api::Page page = call.page("alerts");
    AlertFilter filter;
    if (call.request().parameter("state")) filter.states = choices<AlertState>(call, "state", alert_state);
    filter.severities = choices<Severity>(call, "severity", severity_from);
    filter.rule = call.request().parameter("rule");
    filter.subject = call.request().parameter("source");
    if (!page.after.empty()) filter.before = page.after;
    filter.limit = page.limit;
    json list = json::parse(alerts_json(alerts.list(filter), alerts.open_counts(), page.limit));
    if (list["next"].is_string()) list["next"] = Call::cursor("alerts", list["next"].get<std::string>());
    return answer(json_text(list));
}

Response one_alert(Alerts& alerts, const std::string& id) {
    return answer(alert_json(require_alert(alerts, id), alerts.events(id)));
}

// What somebody says of an alert: acknowledges or resolves it.
using Say = bool (Alerts::*)(const std::string& id, const std::string& by, const std::string& text);

Response say(Call& call, const AlertServices& services, Say what, const char* action) {
    const auto watch = services.watch();
    Alerts& alerts = watch->alerts();
    call.expect_parameters({});
    Form form = call.form();
    const std::string comment = form.text("comment").value_or("");
    form.expect_no_more();
    const std::string& id = call.path_parameter("id");
    const Alert before = require_alert(alerts, id);
    if (!(alerts.*what)(id, call.actor(), comment))
        throw Error(ErrorCode::already_exists,
                    fmt::format("the alert is {}", to_string(require_alert(alerts, id).state)));
    services.audit.append(
        call.actor(), action, id,
        json_text(json{{"rule", before.rule}, {"subject", before.subject}, {"comment", comment}}));
    return one_alert(alerts, id);
}

Response make_silence(Call& call, const AlertServices& services) {
    call.expect_parameters({});
    Form form = call.form();
    Silence silence;
    silence.rule = form.text("rule").value_or("*");
    silence.subject = form.text("subject").value_or("*");
    silence.reason = form.text("reason").value_or("");
    silence.owner = call.actor();
    const auto ends = form.text_as("ends", [](const std::string& text) { return from_rfc3339(text); });
    if (!ends) form.fail("ends", "is missing: a silence has an end");
    silence.ends = *ends;
    form.expect_no_more();
    const std::string id = services.watch()->alerts().silence(silence);
    services.audit.append(call.actor(), "alerts.silence", id,
                          json_text(json{{"rule", silence.rule},
                                         {"subject", silence.subject},
                                         {"reason", silence.reason},
                                         {"ends", to_rfc3339(silence.ends)}}));
    return api::json_response(201, json_text(json{{"id", id}}));
}

Response end_silence(Call& call, const AlertServices& services) {
    call.expect_parameters({});
    call.expect_no_body();
    const std::string& id = call.path_parameter("id");
    const auto watch = services.watch();
    const std::vector<Silence> silences = watch->alerts().silences();
    const auto ended = std::ranges::find(silences, id, &Silence::id);
    if (!watch->alerts().end_silence(id, call.actor()))
        throw Error(ErrorCode::not_found, fmt::format("there is no silence '{}' that is not over", id));
    services.audit.append(call.actor(), "alerts.silence.end", id,
                          ended == silences.end() ? "{}" : silence_json(*ended));
    return answer(json_text(json{{"id", id}, {"ended", true}}));
}

Response test_channel(Call& call, const AlertServices& services) {
    call.expect_parameters({});
    call.expect_no_body();
    const std::string& name = call.path_parameter("name");
    services.watch()->send_test(name, {});
    services.audit.append(call.actor(), "channel.test", name);
    return answer(json_text(json{{"channel", name}, {"sent", true}}));
}

// O17 of the requirements.
Response dashboard(const AlertServices& services) {
    const auto counts = services.watch()->alerts().open_counts();
    const auto count = [&](Severity severity) {
        const auto found = counts.find(severity);
        return found == counts.end() ? std::int64_t{0} : found->second;
    };
    std::int64_t total = 0;
    for (const auto& [severity, number] : counts) total += number;
    json recent = json::array();
    for (const Operation& operation : services.operations.list({.kind = "backup", .limit = most_recent}))
        recent.push_back({{"id", operation.id},
                          {"source", operation.source.value_or("")},
                          {"status", to_string(operation.state)},
                          {"created", to_rfc3339(operation.created)}});
    const char* status = count(Severity::p1) > 0 ? "CRITICAL" : total > 0 ? "DEGRADED" : "HEALTHY";
    return answer(json_text(
        json{{"alerts", {{"critical", count(Severity::p1)}, {"high", count(Severity::p2)}, {"total", total}}},
             {"recentBackups", recent},
             {"systemHealth", {{"status", status}}}}));
}

} // namespace

void add_alert_routes(api::Router& router, const AlertServices& services) {
    const auto add = [&](const char* method, const std::string& path, const char* name, Permission permission,
                         std::function<Response(Call&)> handle) {
        router.add({.method = method,
                    .path = path,
                    .name = name,
                    .permission = permission,
                    .handle = std::move(handle)});
    };
    const auto list = [services](Call& call) { return list_alerts(call, services.watch()->alerts()); };
    const auto acknowledge = [services](Call& call) {
        return say(call, services, &Alerts::acknowledge, "alert.acknowledge");
    };
    const auto resolve = [services](Call& call) {
        return say(call, services, &Alerts::resolve, "alert.resolve");
    };
    add("GET", "/v1/alerts", "listAlerts", Permission::read, list);
    const auto feed = std::make_shared<AlertFeed>(services.watch, services.clock, services.feed_interval);
    router.add({.method = "GET",
                .path = "/v1/alerts/events",
                .name = "streamAlerts",
                .permission = Permission::read,
                .produces = "text/event-stream",
                .handle = [feed](Call& call) { return api::answer_with_events(call, *feed); }});
    add("GET", "/v1/alerts/{id}", "getAlert", Permission::read, [services](Call& call) {
        call.expect_parameters({});
        return one_alert(services.watch()->alerts(), call.path_parameter("id"));
    });
    add("POST", "/v1/alerts/{id}/acknowledge", "acknowledge", Permission::acknowledge, acknowledge);
    add("POST", "/v1/alerts/{id}/resolve", "resolve", Permission::acknowledge, resolve);
    add("GET", "/v1/silences", "listSilences", Permission::read, [services](Call& call) {
        call.expect_parameters({});
        return answer_list(silences_json(services.watch()->alerts().silences()));
    });
    add("POST", "/v1/silences", "createSilence", Permission::acknowledge,
        [services](Call& call) { return make_silence(call, services); });
    add("DELETE", "/v1/silences/{id}", "endSilence", Permission::acknowledge,
        [services](Call& call) { return end_silence(call, services); });
    add("GET", "/v1/rules", "listRules", Permission::read, [services](Call& call) {
        call.expect_parameters({});
        const auto watch = services.watch(); // whose rules are read
        return answer_list(rules_json(watch->alerts().settings().rules));
    });
    add("GET", "/v1/channels", "listChannels", Permission::read, [services](Call& call) {
        call.expect_parameters({});
        const auto watch = services.watch();
        return answer_list(channels_json(watch->channels(), watch->outbox().channel_states()));
    });
    add("POST", "/v1/channels/{name}/test", "testChannel", Permission::configure,
        [services](Call& call) { return test_channel(call, services); });
    router.add({.method = "GET",
                .path = "/metrics",
                .name = "metrics",
                .permission = Permission::read_metrics,
                .produces = "text/plain",
                .handle = [services](Call& call) {
                    call.expect_parameters({});
                    return Response{.content_type = "text/plain; version=0.0.4; charset=utf-8",
                                    .body = services.watch()->metrics()};
                }});
    const std::string base = "/v1/backup-recovery/monitoring";
    add("GET", base + "/alerts", "listMonitoringAlerts", Permission::read, list);
    add("POST", base + "/alerts/{id}/acknowledge", "acknowledgeAlert", Permission::acknowledge, acknowledge);
    add("POST", base + "/alerts/{id}/resolve", "resolveAlert", Permission::acknowledge, resolve);
    add("GET", base + "/dashboard", "getDashboard", Permission::read, [services](Call& call) {
        call.expect_parameters({});
        return dashboard(services);
    });
}

} // namespace holdfast
