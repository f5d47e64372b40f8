#include "client/api_client.h"

#include "base/error.h"
#include "client/api_error.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace holdfast {

namespace {

using Json = nlohmann::json;

constexpr std::uint64_t largest_answer_bytes = 256u << 20;
constexpr int most_attempts = 5;
constexpr Duration first_pause = std::chrono::milliseconds(100);
// A server that asks for more patience than this is told of at once.
constexpr Duration longest_pause = std::chrono::minutes(1);
constexpr std::size_t most_of_a_list = 1000;
// As often as a person may mistype one.
constexpr int most_codes = 3;

// Of an answer that says "later".
bool may_pass(int status) { return status == 429 || (status >= 502 && status <= 504); }

// Who has sent a code and is asked for one all the same has a token without a second factor.
bool wants_code(const HttpResponse& response, bool sent) {
    return problem_name(response) == (sent ? "wrong-code" : "second-factor-required");
}

HttpClientSettings settings_for(const ServerAccess& access) {
    HttpClientSettings settings{.ca_file = access.ca_file};
    settings.least_tls = TlsVersion::tls_1_3;
    settings.old_tls_hint = "a server of Holdfast speaks TLS 1.3; so must what stands before it";
    settings.default_timeout = std::chrono::minutes(2);
    return settings;
}

std::string checked_url(std::string url) {
    while (url.ends_with('/')) url.pop_back();
    const bool known = url.starts_with("https://") || url.starts_with("http://");
    const std::size_t host = url.find("://") + 3;
    if (!known || host >= url.size() || url.find_first_of("/?#@ ", host) != std::string::npos) {
        throw Error(ErrorCode::usage, fmt::format("'{}' is no server", url),
                    "write it as https://host:7420, as 'listen' below [server] of its holdfast.toml has it");
    }
    // A token in the clear is everybody's; between processes of one machine it passes nobody.
    const std::string name =
        url.substr(host, url.find_last_of(':') > host ? url.find_last_of(':') - host : std::string::npos);
    if (url.starts_with("http://") && name != "127.0.0.1" && name != "localhost" && name != "[::1]")
        throw Error(ErrorCode::usage, fmt::format("{} would carry the token readable for all", url),
                    "write it as https://");
    return url;
}

} // namespace

std::string url_part(std::string_view text) {
    std::string part;
    for (const char c : text) {
        const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                           c == '-' || c == '.' || c == '_' || c == '~';
        part += plain ? std::string(1, c) : fmt::format("%{:02X}", static_cast<unsigned char>(c));
    }
    return part;
}

ApiClient::ApiClient(ServerAccess access, Clock& clock, Random& random, std::stop_token stop)
    : access_(std::move(access)),
      clock_(clock),
      random_(random),
      stop_(std::move(stop)),
      http_(settings_for(access_)) {
    access_.url = checked_url(access_.url);
}

HttpRequest ApiClient::request_for(const std::string& method, const std::string& target) const {
    HttpRequest request{.method = method, .url = access_.url + target};
    request.headers = {{"Authorization", "Bearer " + access_.token}, {"Accept", "application/json"}};
    request.largest_answer_bytes = largest_answer_bytes;
    return request;
}

HttpResponse ApiClient::perform_once(const HttpRequest& request) {
    try {
        return http_.perform(request, {.timeout = {}, .stop = stop_});
    } catch (const Error& error) {
        if (error.code() != ErrorCode::unavailable) throw;
        if (!error.retryable())
            throw error.with_hint("name the server's certificate with --server-ca, if it made it itself: "
                                  "server.crt of its state directory; its log tells the SHA-256 of it");
        throw error.with_hint("check that 'holdfast serve' runs there, and the URL of --server, "
                              "HOLDFAST_SERVER or [client] in holdfast.toml");
    }
}

HttpResponse ApiClient::perform(HttpRequest& request, bool repeatable) {
    Duration pause = first_pause;
    for (int attempt = 1;; ++attempt, pause *= 3) {
        Duration wait = pause;
        try {
            HttpResponse response = perform_once(request);
            // Who is sent away for asking too often has had nothing done.
            const bool again = may_pass(response.status) && (repeatable || response.status == 429);
            if (!again || attempt == most_attempts) return response;
            const double asked = response.retry_after_seconds(clock_.now());
            if (asked > std::chrono::duration<double>(longest_pause).count()) return response;
            wait = std::max(wait, std::chrono::ceil<Duration>(std::chrono::duration<double>(asked)));
        } catch (const Error& error) {
            if (!error.retryable() || !repeatable || attempt == most_attempts) throw;
        }
        if (!clock_.sleep_for(wait, stop_))
            throw Error(ErrorCode::cancelled, fmt::format("a request to {} was stopped", access_.url));
    }
}

Json ApiClient::body_of(const HttpResponse& response) const {
    if (response.status >= 400) throw api_error(response, access_.url, clock_.now());
    if (response.body.empty()) return {};
    Json body = Json::parse(as_text(response.body), nullptr, false);
    if (response.status >= 300 || body.is_discarded()) {
        throw Error(ErrorCode::incompatible,
                    fmt::format("{} answers {} with what is no JSON", access_.url, response.status),
                    "name a server that 'holdfast serve' runs, and nothing that stands before it");
    }
    return body;
}

Json ApiClient::get(const std::string& path, const ApiQuery& query) {
    std::string target = path;
    for (const auto& [name, value] : query)
        target +=
            fmt::format("{}{}={}", target.find('?') == std::string::npos ? '?' : '&', name, url_part(value));
    HttpRequest request = request_for("GET", target);
    return body_of(perform(request, true));
}

void ApiClient::each_part(const std::string& path, ApiQuery query,
                          const std::function<bool(const Json&)>& visit) {
    query.emplace_back("limit", std::to_string(most_of_a_list));
    ApiQuery part = query;
    for (;;) {
        const Json page = get(path, part);
        const auto items = page.find("items");
        if (items == page.end() || !items->is_array())
            throw Error(ErrorCode::incompatible, fmt::format("{}{} is no list", access_.url, path),
                        "is the server of another version?");
        if (!visit(page)) return;
        const auto next = page.find("next");
        if (next == page.end() || !next->is_string()) return;
        part = query;
        part.emplace_back("cursor", next->get<std::string>());
    }
}

void ApiClient::each(const std::string& path, ApiQuery query, const std::function<bool(const Json&)>& visit) {
    each_part(path, std::move(query),
              [&](const Json& part) { return std::ranges::all_of(part["items"], visit); });
}

Json ApiClient::list(const std::string& path, const ApiQuery& query) {
    Json all = Json::array();
    each(path, query, [&](const Json& item) {
        all.push_back(item);
        return true;
    });
    return all;
}

Json ApiClient::change(const ApiChange& change) {
    HttpRequest request = request_for(change.method, change.path);
    const std::array<ByteView, 1> body{as_bytes(change.body)};
    if (change.method != "DELETE") {
        request.headers.emplace_back("Content-Type", "application/json");
        request.body = body;
    }
    if (!change.if_match.empty()) request.headers.emplace_back("If-Match", change.if_match);
    if (change.kept_by_key) request.headers.emplace_back("Idempotency-Key", "cli-" + random_.id<16>().hex());
    const std::size_t plain = request.headers.size();
    if (!access_.code.empty()) request.headers.emplace_back("Holdfast-Code", access_.code);
    const auto sent = [&] { return request.headers.size() > plain; };
    HttpResponse response = perform(request, change.kept_by_key);
    // It was used, or is none: sent again with each change it would look like guessing.
    if (sent() && problem_name(response) == "wrong-code") access_.code.clear();
    for (int asked = 0; asked < most_codes && access_.ask_code && wants_code(response, sent()); ++asked) {
        request.headers.resize(plain);
        request.headers.emplace_back("Holdfast-Code", access_.ask_code());
        response = perform(request, change.kept_by_key);
    }
    return body_of(response);
}

} // namespace holdfast
