#include "watch/channels/http_post.h"

#include "base/error.h"
#include "watch/channels/message.h"

#include <algorithm>

#include <fmt/format.h>

namespace holdfast {

namespace {

constexpr std::uint64_t largest_answer = 64 << 10;
constexpr std::size_t told_of_answer = 300;

std::string host_of(const std::string& url) {
    const std::size_t begin = url.find("://") + 3;
    return url.substr(begin, url.find_first_of("/?#", begin) - begin);
}

Error error_of(const HttpResponse& answer, const std::string& host, std::string_view secret, Timestamp now) {
    std::string said = without_secret(bounded_utf8(as_text(answer.body), told_of_answer), secret);
    std::ranges::replace_if(said, [](char c) { return static_cast<unsigned char>(c) < ' '; }, ' ');
    const std::string message =
        fmt::format("{} answers {}{}{}", host, answer.status, said.empty() ? "" : ": ", said);
    const int status = answer.status;
    if (status >= 300 && status < 400) {
        return Error(ErrorCode::unsupported, message + ", a redirect, which is not followed",
                     "name the URL that it leads to, when you trust it");
    }
    if (status == 401 || status == 403)
        return Error(ErrorCode::access_denied, message, "is the secret of the channel still good?");
    const bool later = status == 408 || status == 425 || status == 429 || status >= 500;
    if (later)
        return Error(ErrorCode::unavailable, message, "", true)
            .with_retry_after(answer.retry_after_seconds(now));
    return Error(ErrorCode::unsupported, message, "is the address of the channel right?");
}

} // namespace

std::string without_secret(std::string text, std::string_view secret) {
    constexpr std::string_view instead = "[secret]";
    if (secret.empty()) return text;
    for (std::size_t at = text.find(secret); at != std::string::npos;
         at = text.find(secret, at + instead.size()))
        text.replace(at, secret.size(), instead);
    return text;
}

HttpPost::HttpPost(const std::string& ca_file, Duration timeout, Clock& clock)
    : timeout_(timeout),
      clock_(clock),
      client_({.ca_file = ca_file,
               .connect_timeout = std::min<Duration>(timeout, std::chrono::seconds(10)),
               .stall_timeout = timeout}) {}

void HttpPost::send(const std::string& url, const std::vector<std::pair<std::string, std::string>>& headers,
                    std::string_view body, std::string_view secret, const std::stop_token& stop) {
    const ByteView part = as_bytes(body);
    HttpRequest request;
    request.method = "POST";
    request.url = url;
    request.headers = headers;
    request.headers.emplace_back("User-Agent", "Holdfast");
    request.body = std::span(&part, 1);
    request.largest_answer_bytes = largest_answer;
    try {
        const HttpResponse answer = client_.perform(request, {.timeout = timeout_, .stop = stop});
        if (answer.status < 200 || answer.status > 299)
            throw error_of(answer, host_of(url), secret, clock_.now());
    } catch (const Error& error) {
        throw Error(error.code(), without_secret(error.message(), secret), error.hint(), error.retryable())
            .with_retry_after(error.retry_after_seconds());
    }
}

} // namespace holdfast
