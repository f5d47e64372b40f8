#include "api/http/response_text.h"

#include "base/internet_date.h"

#include <array>

#include <fmt/format.h>

namespace holdfast::api {

namespace {

constexpr std::array<std::pair<std::string_view, std::string_view>, 6> on_every_answer{{
    {"X-Content-Type-Options", "nosniff"},
    {"X-Frame-Options", "DENY"},
    {"Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'"},
    {"Cross-Origin-Resource-Policy", "same-origin"},
    {"Referrer-Policy", "no-referrer"},
    {"Cache-Control", "no-store"},
}};

bool fits_a_line(std::string_view text) {
    return text.find_first_of(std::string_view("\r\n\0", 3)) == std::string_view::npos;
}

void add_field(std::string& out, std::string_view name, std::string_view value) {
    if (!fits_a_line(name) || !fits_a_line(value)) return;
    out.append(name).append(": ").append(value).append("\r\n");
}

std::string_view first_line(std::string_view text) {
    return text.substr(0, text.find_first_of(std::string_view("\r\n\0", 3)));
}

} // namespace

std::string http_date(Timestamp time) { return internet_date(time) + " GMT"; }

std::string response_text(const Response& response, const ResponseFraming& framing) {
    const bool stream = response.events != nullptr;
    const bool has_body = response.status != 204 && response.status != 304 && response.status >= 200;
    std::string out = fmt::format("HTTP/1.1 {} {}\r\n", response.status, reason_of(response.status));
    out.reserve(out.size() + 512 + response.body.size());
    add_field(out, "Date", http_date(framing.now));
    if (stream) {
        add_field(out, "Content-Type", "text/event-stream");
    } else {
        if (!response.content_type.empty()) add_field(out, "Content-Type", response.content_type);
        if (has_body) add_field(out, "Content-Length", std::to_string(response.body.size()));
    }
    for (const auto& [name, value] : on_every_answer)
        if (!response.headers.find(name)) add_field(out, name, value);
    for (const auto& [name, value] : response.headers.all()) add_field(out, name, value);
    if (!framing.keep_alive || stream) add_field(out, "Connection", "close");
    out += "\r\n";
    if (has_body && !stream && !framing.head_only) out += response.body;
    return out;
}

std::string event_text(const std::vector<Event>& events) {
    std::string out;
    for (const Event& event : events) {
        if (!event.id.empty()) out.append("id: ").append(first_line(event.id)).append("\n");
        if (!event.type.empty()) out.append("event: ").append(first_line(event.type)).append("\n");
        std::string_view data = event.data;
        while (true) {
            const std::size_t end = data.find_first_of("\r\n");
            out.append("data: ").append(data.substr(0, end)).append("\n");
            if (end == std::string_view::npos) break;
            data.remove_prefix(end + (data.substr(end, 2) == "\r\n" ? 2 : 1));
        }
        out += "\n";
    }
    return out;
}

} // namespace holdfast::api
