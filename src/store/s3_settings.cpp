#include "store/s3_settings.h"

#include "base/error.h"
#include "base/file_descriptor.h"
#include "store/object_name.h"

#include <algorithm>
#include <cstdlib>

#include <fmt/format.h>
#include <sys/stat.h>

namespace holdfast {

namespace {

constexpr std::string_view scheme = "s3://";
constexpr std::string_view url_hint =
    "write it as s3://bucket/prefix, with ?endpoint=https://host and &region=… where needed";

[[noreturn]] void refuse(std::string_view why) {
    throw Error(ErrorCode::usage, fmt::format("the URL of an S3 store {}", why), std::string(url_hint));
}

std::string percent_decoded(std::string_view text) {
    std::string decoded;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] != '%') {
            decoded += text[i];
            continue;
        }
        const std::string_view digits = text.substr(i + 1, 2);
        if (digits.size() != 2 ||
            digits.find_first_not_of("0123456789abcdefABCDEF") != std::string_view::npos) {
            refuse("has a '%' without two hexadecimal digits");
        }
        decoded += static_cast<char>(from_hex(digits).front());
        i += 2;
    }
    return decoded;
}

// The rules for bucket names, widened by what older buckets and other servers have: capitals and '_'.
bool is_bucket_name(std::string_view name) {
    return name.size() >= 2 && name.size() <= 255 && name.front() != '.' &&
           std::ranges::all_of(name, [](char c) {
               return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                      c == '.' || c == '-' || c == '_';
           });
}

// It becomes part of a host's name, and of what is signed.
void check_region(const std::string& region) {
    const bool plain = region.size() <= 64 && std::ranges::all_of(region, [](char c) {
                           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                                  (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.';
                       });
    if (plain) return;
    throw Error(ErrorCode::usage, "the region of an S3 store is no name of one",
                "it has letters, digits, '-', '_' and '.', such as eu-central-1");
}

void apply_parameter(S3Settings& settings, const std::string& name, const std::string& value) {
    if (value.empty()) refuse(fmt::format("gives '{}' no value", name));
    if (name == "endpoint") {
        settings.endpoint = value;
    } else if (name == "region") {
        check_region(value);
        settings.region = value;
    } else if (name == "ca_file") {
        settings.ca_file = value;
    } else if (name == "profile") {
        settings.profile = value;
    } else if (name == "style" && value == "path") {
        settings.addressing = S3Addressing::path;
    } else if (name == "style" && value == "virtual") {
        settings.addressing = S3Addressing::virtual_host;
    } else if (name == "min_tls" && (value == "1.2" || value == "1.3")) {
        settings.min_tls = value;
    } else {
        refuse("has a parameter that is none of endpoint, region, style (path or virtual), ca_file, profile, "
               "min_tls (1.2 or 1.3)");
    }
}

// Throws unless it is an origin: a scheme, a host and perhaps a port.
void check_endpoint(const std::string& endpoint) {
    const std::size_t host = endpoint.starts_with("https://") ? 8 : endpoint.starts_with("http://") ? 7 : 0;
    const bool good =
        host != 0 && endpoint.size() > host && std::ranges::all_of(endpoint.substr(host), [](char c) {
            return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
                   c == '-' || c == ':' || c == '[' || c == ']' || c == '_';
        });
    if (!good) {
        throw Error(ErrorCode::usage,
                    "the endpoint of an S3 store is not a scheme, a host and perhaps a port",
                    "write it as https://host or http://host:port, without user name, path or query");
    }
}

std::string without_trailing_slash(std::string text) {
    while (text.ends_with('/')) text.pop_back();
    return text;
}

bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\r'; }

std::string_view trimmed(std::string_view text) {
    while (!text.empty() && is_blank(text.front())) text.remove_prefix(1);
    while (!text.empty() && is_blank(text.back())) text.remove_suffix(1);
    return text;
}

// The profile of that name in a file of the AWS tools; empty when there is no such file or profile.
Profile read_profile(const std::string& path, const std::string& profile) {
    struct stat status{};
    if (::stat(path.c_str(), &status) != 0) return {};
    constexpr std::size_t largest_file_bytes = 1 << 20;
    const Bytes text = read_file(path, largest_file_bytes);
    const std::map<std::string, Profile> profiles = parse_profiles(as_text(text), path);
    const auto found = profiles.find(profile);
    return found == profiles.end() ? Profile() : found->second;
}

void fill(std::string& field, const std::optional<std::string>& value) {
    if (field.empty() && value) field = *value;
}

void fill(std::string& field, const Profile& profile, const std::string& name) {
    if (const auto found = profile.find(name); field.empty() && found != profile.end()) field = found->second;
}

void fill_credentials(S3Credentials& credentials, const Profile& profile) {
    if (!credentials.access_key.empty()) return;
    fill(credentials.access_key, profile, "aws_access_key_id");
    fill(credentials.secret_key, profile, "aws_secret_access_key");
    fill(credentials.session_token, profile, "aws_session_token");
}

} // namespace

std::string S3Settings::effective_endpoint() const {
    if (!endpoint.empty()) return endpoint;
    return fmt::format("https://s3.{}.amazonaws.com", region.empty() ? "us-east-1" : region);
}

bool S3Settings::virtual_host() const {
    // A bucket with dots has no certificate of its own at AWS.
    if (addressing == S3Addressing::automatic) return at_aws() && bucket.find('.') == std::string::npos;
    return addressing == S3Addressing::virtual_host;
}

S3Settings parse_s3_url(std::string_view url) {
    if (!url.starts_with(scheme)) refuse("does not begin with s3://");
    const std::string_view rest = url.substr(scheme.size());
    const std::size_t question = rest.find('?');
    const std::string_view place = rest.substr(0, question);
    if (place.find('@') != std::string_view::npos) {
        throw Error(ErrorCode::usage, "the URL of an S3 store holds credentials",
                    "take them out, and set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY or use a profile");
    }
    S3Settings settings;
    settings.bucket = place.substr(0, place.find('/'));
    if (!is_bucket_name(settings.bucket)) refuse("names no bucket");
    if (place.find('/') != std::string_view::npos) settings.prefix = place.substr(place.find('/') + 1);
    settings.prefix = without_trailing_slash(settings.prefix);
    if (!settings.prefix.empty() && !is_object_name(settings.prefix)) {
        refuse("has a prefix that is not made of segments of letters, digits, '.', '_' and '-'");
    }
    for (std::string_view query = question == std::string_view::npos ? "" : rest.substr(question + 1);
         !query.empty();) {
        const std::size_t end = std::min(query.find('&'), query.size());
        const std::string_view parameter = query.substr(0, end);
        const std::size_t equals = parameter.find('=');
        if (equals == std::string_view::npos) refuse("has a parameter without '='");
        apply_parameter(settings, percent_decoded(parameter.substr(0, equals)),
                        percent_decoded(parameter.substr(equals + 1)));
        query.remove_prefix(std::min(end + 1, query.size()));
    }
    settings.endpoint = without_trailing_slash(settings.endpoint);
    if (!settings.endpoint.empty()) check_endpoint(settings.endpoint);
    return settings;
}

Environment process_environment() {
    return [](const std::string& name) -> std::optional<std::string> {
        const char* value = std::getenv(name.c_str());
        if (value == nullptr || *value == '\0') return std::nullopt;
        return value;
    };
}

S3Settings complete_s3_settings(S3Settings settings, const Environment& environment) {
    const bool profile_named = !settings.profile.empty();
    S3Credentials& credentials = settings.credentials;
    if (credentials.access_key.empty() && !profile_named) {
        credentials = {environment("AWS_ACCESS_KEY_ID").value_or(""),
                       environment("AWS_SECRET_ACCESS_KEY").value_or(""),
                       environment("AWS_SESSION_TOKEN").value_or("")};
    }
    fill(settings.profile, environment("AWS_PROFILE"));
    fill(settings.profile, "default");
    const std::string home = environment("HOME").value_or("");
    const std::string credentials_file =
        environment("AWS_SHARED_CREDENTIALS_FILE").value_or(home + "/.aws/credentials");
    const Profile secret = read_profile(credentials_file, settings.profile);
    const Profile config =
        read_profile(environment("AWS_CONFIG_FILE").value_or(home + "/.aws/config"), settings.profile);
    fill_credentials(credentials, secret);
    fill_credentials(credentials, config);
    fill(settings.region, environment("AWS_REGION"));
    fill(settings.region, environment("AWS_DEFAULT_REGION"));
    fill(settings.region, config, "region");
    fill(settings.region, "us-east-1");
    check_region(settings.region);
    fill(settings.endpoint, environment("AWS_ENDPOINT_URL_S3"));
    fill(settings.endpoint, environment("AWS_ENDPOINT_URL"));
    fill(settings.endpoint, config, "endpoint_url");
    fill(settings.ca_file, environment("AWS_CA_BUNDLE"));
    fill(settings.ca_file, config, "ca_bundle");
    settings.endpoint = without_trailing_slash(settings.endpoint);
    if (!settings.endpoint.empty()) check_endpoint(settings.endpoint);
    if (credentials.access_key.empty() || credentials.secret_key.empty()) {
        throw Error(
            ErrorCode::usage, fmt::format("there are no credentials for s3://{}", settings.bucket),
            fmt::format("set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or write profile '{}' into {}",
                        settings.profile, credentials_file));
    }
    return settings;
}

std::map<std::string, Profile> parse_profiles(std::string_view text, std::string_view name) {
    std::map<std::string, Profile> profiles;
    Profile* current = nullptr;
    for (std::size_t line_number = 1; !text.empty(); ++line_number) {
        const std::size_t end = std::min(text.find('\n'), text.size());
        const std::string_view raw = text.substr(0, end);
        text.remove_prefix(std::min(end + 1, text.size()));
        const std::string_view line = trimmed(raw);
        // Lines that begin with a blank belong to a setting with parts of its own; none of those is for us.
        if (line.empty() || line.front() == '#' || line.front() == ';' || is_blank(raw.front())) continue;
        if (line.front() == '[' && line.back() == ']') {
            std::string_view title = trimmed(line.substr(1, line.size() - 2));
            if (title.starts_with("profile ")) title = trimmed(title.substr(8));
            current = &profiles[std::string(title)];
            continue;
        }
        const std::size_t equals = line.find('=');
        if (equals == std::string_view::npos || equals == 0 || current == nullptr) {
            throw Error(ErrorCode::usage,
                        fmt::format("{}: line {} is neither [profile] nor name = value", name, line_number));
        }
        (*current)[std::string(trimmed(line.substr(0, equals)))] = trimmed(line.substr(equals + 1));
    }
    return profiles;
}

} // namespace holdfast
