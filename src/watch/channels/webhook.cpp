#include "base/json_text.h"
#include "base/sha256.h"
#include "watch/channels/http_channels.h"
#include "watch/channels/message.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace holdfast {

std::string webhook_signature(ByteView key, std::int64_t timestamp, std::string_view body) {
    return "v1=" + hmac_sha256(key, fmt::format("{}.{}", timestamp, body)).hex();
}

void WebhookChannel::send(const Notice& notice, std::stop_token stop) {
    const Secret secret = settings_.secret.load(environment_);
    auto json = nlohmann::ordered_json::parse(notice_json(notice));
    json["id"] = notice.id;
    json["text"] = notice_text(notice);
    const std::string body = json_text(json);
    // When it is sent, not when it happened: receivers refuse what is old.
    const std::int64_t timestamp =
        std::chrono::floor<std::chrono::seconds>(clock_.now()).time_since_epoch().count();
    http_.send(settings_.endpoint,
               {{"Content-Type", "application/json"},
                {"Holdfast-Delivery", notice.id},
                {"Holdfast-Timestamp", fmt::format("{}", timestamp)},
                {"Holdfast-Signature", webhook_signature(secret.view(), timestamp, body)}},
               body, as_text(secret.view()), stop);
}

} // namespace holdfast
