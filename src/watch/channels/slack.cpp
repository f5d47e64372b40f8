#include "base/error.h"
#include "base/json_text.h"
#include "watch/channels/http_channels.h"
#include "watch/channels/message.h"

#include <nlohmann/json.hpp>

namespace holdfast {

namespace {

// What Slack takes for the beginning of something else.
std::string escaped(std::string_view text) {
    std::string result;
    for (const char c : text) {
        if (c == '&') {
            result += "&amp;";
        } else if (c == '<') {
            result += "&lt;";
        } else if (c == '>') {
            result += "&gt;";
        } else {
            result += c;
        }
    }
    return result;
}

std::string_view colour_of(const Notice& notice) {
    if (notice.event == NoticeEvent::resolve || notice.event == NoticeEvent::success) return "#2e7d32";
    switch (notice.severity) {
    case Severity::p1:
        return "#b71c1c";
    case Severity::p2:
        return "#e65100";
    case Severity::p3:
        return "#f9a825";
    case Severity::p4:
        return "#546e7a";
    }
    return "#546e7a";
}

} // namespace

void SlackChannel::send(const Notice& notice, std::stop_token stop) {
    const Secret secret = settings_.secret.load(environment_);
    const std::string url(as_text(secret.view()));
    if (!url.starts_with("https://") && !url.starts_with("http://"))
        throw Error(ErrorCode::usage, "what the channel names for Slack is no URL",
                    "put the URL of the incoming webhook there");
    const nlohmann::json body = {{"text", escaped(notice_subject(notice))},
                                 {"attachments",
                                  {{{"color", colour_of(notice)},
                                    {"text", "```" + escaped(notice_text(notice)) + "```"},
                                    {"mrkdwn_in", {"text"}}}}}};
    http_.send(url, {{"Content-Type", "application/json; charset=utf-8"}}, json_text(body), url, stop);
}

} // namespace holdfast
