// What the configuration says of a channel.
#pragma once

#include "base/secret.h"
#include "store/s3_settings.h"
#include "watch/routing.h"

#include <string>
#include <string_view>
#include <vector>

namespace holdfast {

// Where a secret is: it is read each time it is needed, and not kept.
struct SecretSource {
    std::string file;
    std::string variable; // of the environment

    bool named() const { return !file.empty() || !variable.empty(); }
    // Without blanks at its ends. Throws Error(usage), Error(not_found) or Error(access_denied) that names
    // file or variable, never the secret.
    Secret load(const Environment& environment) const;
};

enum class ChannelType { smtp, slack, pagerduty, sns, webhook };
std::string_view to_string(ChannelType type);

struct ChannelSettings {
    std::string name;
    ChannelType type = ChannelType::webhook;
    Route route;
    // Kinds of operations of whose success it is told; empty: of none. Of sources those of the route.
    std::vector<std::string> successes{};
    Duration timeout = std::chrono::seconds(30);
    std::string ca_file{};  // certificates to trust instead of the system's
    std::string endpoint{}; // the URL; of mail "host:port"; empty: the usual one. Of Slack it is secret.
    SecretSource secret{};  // password, URL, routing key, secret access key, or key of signatures
    // Mail.
    enum class Tls { none, starttls, tls } tls = Tls::starttls;
    std::string user{}, from{};
    std::vector<std::string> to{};
    // SNS.
    std::string topic{}, region{}, access_key{}, profile{};

    // Of an operation of that kind; `source` is empty when it is of none.
    bool takes_success(std::string_view kind, std::string_view source) const;
};

// Reads the JSON form of [channel.NAME], as docs/alerts.md describes it. Throws Error(usage) whose field() is
// the path of what is wrong; no secret is read.
ChannelSettings parse_channel(const std::string& name, std::string_view json);

} // namespace holdfast
