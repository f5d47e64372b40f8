#include "watch/channels/channel_settings.h"

#include "base/error.h"
#include "base/file_descriptor.h"
#include "base/form.h"
#include "execution/operation_request.h"
#include "policy/period.h"

#include <algorithm>
#include <array>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace holdfast {

namespace {

constexpr std::array<std::pair<ChannelType, std::string_view>, 5> type_names{{
    {ChannelType::smtp, "smtp"},
    {ChannelType::slack, "slack"},
    {ChannelType::pagerduty, "pagerduty"},
    {ChannelType::sns, "sns"},
    {ChannelType::webhook, "webhook"},
}};
constexpr std::size_t longest_secret = 64 << 10;
constexpr std::size_t longest_name = 40;
constexpr std::uint64_t most_steps = 20;

ByteView trimmed(ByteView text) {
    const auto blank = [](Byte c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; };
    while (!text.empty() && blank(text.front())) text = text.subspan(1);
    while (!text.empty() && blank(text.back())) text = text.first(text.size() - 1);
    return text;
}

bool is_plain(std::string_view text) {
    return std::ranges::all_of(text, [](char c) { return c > ' ' && c < 0x7f; });
}

ChannelType read_type(Form& form) {
    const auto type = form.text("type");
    if (!type) form.fail("type", "is missing", "smtp, slack, pagerduty, sns or webhook");
    for (const auto& [known, name] : type_names)
        if (name == *type) return known;
    form.fail("type", fmt::format("'{}' is no type of channel", *type),
              "smtp, slack, pagerduty, sns or webhook");
}

SecretSource read_secret(Form& form, const std::string& what, bool required) {
    const std::string file_key = what + "_file";
    const std::string variable_key = what + "_env";
    const SecretSource source{form.text(file_key).value_or(""), form.text(variable_key).value_or("")};
    if (!source.file.empty() && !source.variable.empty())
        form.fail(variable_key, fmt::format("stands beside {}", file_key), "name one of them");
    if (required && !source.named())
        form.fail(file_key, "is missing", fmt::format("name a file, or with {} a variable", variable_key));
    return source;
}

Route read_route(Form& form, const std::string& name) {
    Route route{.channel = name};
    for (const std::string& severity : form.texts("severities"))
        route.severities.insert(form.at("severities", [&] { return severity_from(severity); }));
    route.rules = form.texts("rules");
    route.subjects = form.texts("sources");
    route.step = static_cast<std::int64_t>(form.number("step", 1, most_steps).value_or(1));
    route.tells_end = form.flag("tells_end").value_or(true);
    return route;
}

std::vector<std::string> read_successes(Form& form, ChannelType type) {
    std::vector<std::string> kinds = form.texts("successes");
    for (const std::string& kind : kinds) {
        if (kind != "*" && std::ranges::find(operation_kinds, kind) == operation_kinds.end())
            form.fail("successes", fmt::format("'{}' is no kind of operation", kind),
                      fmt::format("* or of {}", fmt::join(operation_kinds, ", ")));
    }
    if (!kinds.empty() && type == ChannelType::pagerduty)
        form.fail("successes", "PagerDuty is for what is wrong", "name them at another channel");
    return kinds;
}

std::string read_url(Form& form, const char* key) {
    const std::string url = form.text(key).value_or("");
    if (url.empty()) return url;
    if ((!url.starts_with("https://") && !url.starts_with("http://")) || !is_plain(url))
        form.fail(key, "is no URL", "as https://host/path");
    const std::string_view authority = std::string_view(url).substr(url.find("://") + 3);
    if (authority.substr(0, authority.find('/')).find('@') != std::string_view::npos)
        form.fail(key, "holds a user name or a password", "secrets belong in a file");
    return url;
}

std::string read_address(const Form& form, const char* key, const std::string& address) {
    const bool good = is_plain(address) && address.find('@') != std::string::npos &&
                      address.find_first_of("<>,;\"\\") == std::string::npos;
    if (!good) form.fail(key, fmt::format("'{}' is no address", address), "as backup@example.org");
    return address;
}

void read_smtp(Form& form, ChannelSettings& settings) {
    settings.endpoint = form.text("server").value_or("");
    if (settings.endpoint.empty() || !is_plain(settings.endpoint) ||
        settings.endpoint.find_first_of("/@?#") != std::string::npos)
        form.fail("server", "must be a host, perhaps with a port", "as mail.example.org:587");
    const std::string tls = form.text("tls").value_or("starttls");
    if (tls == "none") {
        settings.tls = ChannelSettings::Tls::none;
    } else if (tls == "tls") {
        settings.tls = ChannelSettings::Tls::tls;
    } else if (tls != "starttls") {
        form.fail("tls", "must be starttls, tls or none");
    }
    settings.user = form.text("user").value_or("");
    settings.secret = read_secret(form, "password", !settings.user.empty());
    if (!settings.user.empty() && settings.tls == ChannelSettings::Tls::none)
        form.fail("tls", "a password is sent over TLS only", "use starttls or tls");
    settings.from = read_address(form, "from", form.text("from").value_or(""));
    for (const std::string& address : form.texts("to"))
        settings.to.push_back(read_address(form, "to", address));
    if (settings.to.empty()) form.fail("to", "is missing", "name whom to write to");
}

void read_sns(Form& form, ChannelSettings& settings) {
    settings.topic = form.text("topic_arn").value_or("");
    if (!settings.topic.starts_with("arn:") || !is_plain(settings.topic))
        form.fail("topic_arn", "is no ARN of a topic", "as arn:aws:sns:eu-central-1:123456789012:backups");
    settings.region = form.text("region").value_or("");
    settings.endpoint = read_url(form, "endpoint");
    settings.profile = form.text("profile").value_or("");
    settings.access_key = form.text("access_key").value_or("");
    settings.secret = read_secret(form, "secret_key", !settings.access_key.empty());
    if (settings.region.empty()) {
        // arn:partition:sns:REGION:account:name
        std::size_t at = 0;
        for (int colon = 0; colon < 3 && at != std::string::npos; ++colon)
            at = settings.topic.find(':', at == 0 ? 0 : at + 1);
        const std::size_t end = at == std::string::npos ? at : settings.topic.find(':', at + 1);
        if (end == std::string::npos) form.fail("region", "is missing");
        settings.region = settings.topic.substr(at + 1, end - at - 1);
    }
}

} // namespace

std::string_view to_string(ChannelType type) {
    for (const auto& [known, name] : type_names)
        if (known == type) return name;
    return "webhook";
}

bool ChannelSettings::takes_success(std::string_view kind, std::string_view source) const {
    const bool takes_kind = std::ranges::any_of(
        successes, [&](const std::string& wanted) { return matches_pattern(wanted, kind); });
    return takes_kind &&
           (route.subjects.empty() || std::ranges::any_of(route.subjects, [&](const std::string& wanted) {
                return matches_pattern(wanted, source);
            }));
}

Secret SecretSource::load(const Environment& environment) const {
    if (!variable.empty()) {
        const auto value = environment(variable);
        const ByteView text = value ? trimmed(as_bytes(*value)) : ByteView();
        if (text.empty()) {
            throw Error(ErrorCode::usage,
                        fmt::format("the variable {} of the environment is not set", variable),
                        "set it where the server is started");
        }
        return Secret::copy_of(text);
    }
    Bytes bytes = read_file(file, longest_secret);
    const ByteView text = trimmed(bytes);
    if (text.empty()) throw Error(ErrorCode::usage, fmt::format("{} is empty", file), "put the secret there");
    Secret secret = Secret::copy_of(text);
    wipe(bytes);
    return secret;
}

ChannelSettings parse_channel(const std::string& name, std::string_view json) {
    const std::string path = "channel." + name;
    Form form = Form::parse(json, path);
    const bool good_name =
        !name.empty() && name.size() <= longest_name && std::ranges::all_of(name, [](char c) {
            return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
                   c == '_';
        });
    if (!good_name) {
        throw Error(ErrorCode::usage, fmt::format("'{}' is no name for a channel", name),
                    "up to 40 letters, digits, '-' and '_'")
            .with_field(path);
    }
    ChannelSettings settings;
    settings.name = name;
    settings.type = read_type(form);
    settings.route = read_route(form, name);
    settings.successes = read_successes(form, settings.type);
    settings.ca_file = form.text("ca_file").value_or("");
    if (const auto timeout =
            form.text_as("timeout", [](const std::string& text) { return Period::parse(text, {}); })) {
        if (timeout->months != 0 || timeout->seconds > 300) form.fail("timeout", "must be 300s at most");
        settings.timeout = std::chrono::seconds(timeout->seconds);
    }
    switch (settings.type) {
    case ChannelType::smtp:
        read_smtp(form, settings);
        break;
    case ChannelType::slack:
        settings.secret = read_secret(form, "url", true);
        break;
    case ChannelType::pagerduty:
        settings.endpoint = read_url(form, "endpoint");
        settings.secret = read_secret(form, "routing_key", true);
        break;
    case ChannelType::sns:
        read_sns(form, settings);
        break;
    case ChannelType::webhook:
        settings.endpoint = read_url(form, "url");
        if (settings.endpoint.empty()) form.fail("url", "is missing");
        settings.secret = read_secret(form, "secret", true);
        break;
    }
    form.expect_no_more();
    return settings;
}

} // namespace holdfast
