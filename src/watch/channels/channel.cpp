#include "watch/channels/channel.h"

#include "watch/channels/http_channels.h"
#include "watch/channels/smtp.h"

#include <fmt/format.h>

namespace holdfast {

std::unique_ptr<Channel> make_channel(ChannelSettings settings, Clock& clock, Environment environment) {
    switch (settings.type) {
    case ChannelType::smtp:
        return std::make_unique<SmtpChannel>(std::move(settings), std::move(environment));
    case ChannelType::slack:
        return std::make_unique<SlackChannel>(std::move(settings), clock, std::move(environment));
    case ChannelType::pagerduty:
        return std::make_unique<PagerDutyChannel>(std::move(settings), clock, std::move(environment));
    case ChannelType::sns:
        return std::make_unique<SnsChannel>(std::move(settings), clock, std::move(environment));
    case ChannelType::webhook:
        break;
    }
    return std::make_unique<WebhookChannel>(std::move(settings), clock, std::move(environment));
}

Notice test_notice(std::string_view origin, const std::string& id, Timestamp now) {
    return {.id = id,
            .dedup_key = dedup_key(origin, "test", id),
            .event = NoticeEvent::test,
            .alert = {},
            .rule = "test",
            .title = "Test of a channel",
            .subject = std::string(origin),
            .subject_kind = "server",
            .severity = Severity::p4,
            .summary = "This is a test. Nothing is wrong, and nothing is to be done.",
            .runbook = {},
            .since = now,
            .time = now,
            .level = 1,
            .actor = {},
            .origin = std::string(origin)};
}

} // namespace holdfast
