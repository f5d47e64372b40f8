// The channels over HTTP. Internal to make_channel().
#pragma once

#include "watch/channels/channel.h"
#include "watch/channels/http_post.h"

namespace holdfast {

class HttpChannel : public Channel {
  public:
    HttpChannel(ChannelSettings settings, Clock& clock, Environment environment)
        : settings_(std::move(settings)),
          clock_(clock),
          environment_(std::move(environment)),
          http_(settings_.ca_file, settings_.timeout, clock) {}

  protected:
    const ChannelSettings settings_;
    Clock& clock_;
    const Environment environment_;
    HttpPost http_;
};

// An incoming webhook of Slack ("Sending messages using incoming webhooks", docs.slack.dev). It cannot know a
// notice that is repeated after a crash.
class SlackChannel final : public HttpChannel {
  public:
    using HttpChannel::HttpChannel;
    void send(const Notice& notice, std::stop_token stop) override;
};

// PagerDuty's Events API v2 ("Send an alert event", developer.pagerduty.com): a notice that is repeated has
// the same dedup_key. A test triggers and resolves.
class PagerDutyChannel final : public HttpChannel {
  public:
    using HttpChannel::HttpChannel;
    void send(const Notice& notice, std::stop_token stop) override;

  private:
    void enqueue(const Notice& notice, std::string_view action, const std::stop_token& stop);
};

// Publish of the Amazon Simple Notification Service (API Reference), signed with Signature Version 4. To a
// topic whose name ends in ".fifo" with the notice's id, by which it drops one that is repeated.
class SnsChannel final : public HttpChannel {
  public:
    using HttpChannel::HttpChannel;
    void send(const Notice& notice, std::stop_token stop) override;
};

// JSON to a URL of one's own, signed; docs/alerts.md describes it for receivers.
class WebhookChannel final : public HttpChannel {
  public:
    using HttpChannel::HttpChannel;
    void send(const Notice& notice, std::stop_token stop) override;
};

// "v1=" and the HMAC-SHA-256, in hexadecimal, of "TIMESTAMP.BODY".
std::string webhook_signature(ByteView key, std::int64_t timestamp, std::string_view body);

} // namespace holdfast
