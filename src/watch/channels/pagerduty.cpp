#include "base/json_text.h"
#include "watch/channels/http_channels.h"
#include "watch/channels/message.h"

#include <nlohmann/json.hpp>

namespace holdfast {

namespace {

constexpr const char* usual_endpoint = "https://events.pagerduty.com/v2/enqueue";
constexpr std::size_t longest_summary = 1024;

std::string_view severity_of(Severity severity) {
    switch (severity) {
    case Severity::p1:
        return "critical";
    case Severity::p2:
        return "error";
    case Severity::p3:
        return "warning";
    case Severity::p4:
        return "info";
    }
    return "warning";
}

} // namespace

void PagerDutyChannel::send(const Notice& notice, std::stop_token stop) {
    switch (notice.event) {
    case NoticeEvent::trigger:
        return enqueue(notice, "trigger", stop);
    case NoticeEvent::acknowledge:
        return enqueue(notice, "acknowledge", stop);
    case NoticeEvent::resolve:
        return enqueue(notice, "resolve", stop);
    case NoticeEvent::success:
        return; // an event there is something that is wrong: nobody is woken for what went well
    case NoticeEvent::test:
        enqueue(notice, "trigger", stop);
        enqueue(notice, "resolve", stop);
        return;
    }
}

void PagerDutyChannel::enqueue(const Notice& notice, std::string_view action, const std::stop_token& stop) {
    const Secret secret = settings_.secret.load(environment_);
    const std::string key(as_text(secret.view()));
    nlohmann::json body = {{"routing_key", key},
                           {"event_action", action},
                           {"dedup_key", notice.dedup_key},
                           {"client", "Holdfast"}};
    if (action == "trigger") {
        const std::string summary =
            bounded_utf8(notice_subject(notice) + ": " + notice.summary, longest_summary);
        body["payload"] = {{"summary", summary},
                           {"source", notice.subject},
                           {"severity", severity_of(notice.severity)},
                           {"timestamp", to_rfc3339(notice.since)},
                           {"component", notice.subject_kind},
                           {"group", notice.origin},
                           {"class", notice.rule},
                           {"custom_details", {{"text", notice_text(notice)}, {"alert", notice.alert}}}};
    }
    const std::string& url = settings_.endpoint;
    http_.send(url.empty() ? usual_endpoint : url, {{"Content-Type", "application/json"}}, json_text(body),
               key, stop);
}

} // namespace holdfast
