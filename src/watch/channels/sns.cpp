#include "base/sha256.h"
#include "store/s3_signature.h"
#include "watch/channels/http_channels.h"
#include "watch/channels/message.h"

#include <fmt/format.h>

namespace holdfast {

namespace {

// SNS takes ASCII of less than a hundred characters.
std::string ascii_subject(const Notice& notice) {
    std::string subject = notice_subject(notice).substr(0, 99);
    for (char& c : subject)
        if (c < ' ' || c > '~') c = '?';
    return subject;
}

} // namespace

void SnsChannel::send(const Notice& notice, std::stop_token stop) {
    S3Credentials credentials{settings_.access_key, {}, {}};
    if (settings_.secret.named()) {
        credentials.secret_key = as_text(settings_.secret.load(environment_).view());
    } else {
        credentials = complete_s3_settings({.profile = settings_.profile}, environment_).credentials;
    }
    const std::string endpoint = settings_.endpoint.empty()
                                     ? fmt::format("https://sns.{}.amazonaws.com", settings_.region)
                                     : settings_.endpoint;
    const std::size_t begin = endpoint.find("://") + 3;
    const std::string host = endpoint.substr(begin, endpoint.find('/', begin) - begin);

    NameValues form{{"Action", "Publish"},
                    {"Version", "2010-03-31"},
                    {"TopicArn", settings_.topic},
                    {"Subject", ascii_subject(notice)},
                    {"Message", notice_text(notice)}};
    if (settings_.topic.ends_with(".fifo")) {
        form.emplace_back("MessageGroupId", notice.dedup_key);
        form.emplace_back("MessageDeduplicationId", notice.id);
    }
    const std::string body = canonical_query(form);
    const Timestamp now = clock_.now();
    NameValues headers{{"Content-Type", "application/x-www-form-urlencoded; charset=utf-8"},
                       {"Host", host},
                       {"X-Amz-Date", amz_date(now)}};
    if (!credentials.session_token.empty())
        headers.emplace_back("X-Amz-Security-Token", credentials.session_token);
    const SigningRequest request{.method = "POST",
                                 .path = "/",
                                 .query = {},
                                 .headers = headers,
                                 .payload_hash = sha256_hex(as_bytes(body))};
    headers.emplace_back("Authorization",
                         authorization_header(request, credentials, settings_.region, "sns", now));
    http_.send(endpoint.substr(0, begin) + host + "/", headers, body, credentials.secret_key, stop);
}

} // namespace holdfast
