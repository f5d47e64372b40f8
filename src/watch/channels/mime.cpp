#include "watch/channels/mime.h"

#include "base/bytes.h"
#include "base/internet_date.h"

#include <algorithm>

#include <fmt/format.h>

namespace holdfast {

namespace {

constexpr std::string_view line_end = "\r\n";
// Of base64 on a line.
constexpr std::size_t line_length = 76;
// An encoded word has 75 characters at most: 12 around it, the rest base64 of so many bytes.
constexpr std::size_t word_bytes = 45;

bool is_continuation(char c) { return (static_cast<unsigned char>(c) & 0xc0) == 0x80; }

} // namespace

std::string encoded_header(std::string_view text) {
    const bool plain = text.size() <= 60 && text.find("=?") == std::string_view::npos &&
                       std::ranges::all_of(text, [](char c) { return c >= ' ' && c <= '~'; });
    if (plain) return std::string(text);
    std::string encoded;
    while (!text.empty()) {
        std::size_t size = std::min(text.size(), word_bytes);
        // A character is never in two words.
        while (size < text.size() && size > 1 && is_continuation(text[size])) --size;
        encoded += fmt::format("{}=?UTF-8?B?{}?=", encoded.empty() ? "" : "\r\n ",
                               to_base64(as_bytes(text.substr(0, size))));
        text.remove_prefix(size);
    }
    return encoded;
}

std::string mail_date(Timestamp time) { return internet_date(time) + " +0000"; }

std::string mime_message(const Mail& mail) {
    std::string to;
    for (const std::string& address : mail.to) to += (to.empty() ? "" : ",\r\n ") + address;
    std::string message;
    const auto header = [&](std::string_view name, std::string_view value) {
        message += fmt::format("{}: {}{}", name, value, line_end);
    };
    header("Date", mail_date(mail.date));
    header("From", fmt::format("Holdfast <{}>", mail.from));
    header("To", to);
    header("Subject", encoded_header(mail.subject));
    header("Message-ID", fmt::format("<{}>", mail.message_id));
    header("References", fmt::format("<{}>", mail.thread_id));
    header("Auto-Submitted", "auto-generated"); // RFC 3834: nobody's absence notice answers
    header("MIME-Version", "1.0");
    header("Content-Type", "text/plain; charset=utf-8");
    header("Content-Transfer-Encoding", "base64");
    message += line_end;
    std::string text;
    for (const char c : mail.text) text += c == '\n' ? std::string("\r\n") : std::string(1, c);
    const std::string body = to_base64(as_bytes(text));
    for (std::size_t at = 0; at < body.size(); at += line_length)
        message += fmt::format("{}{}", std::string_view(body).substr(at, line_length), line_end);
    return message;
}

} // namespace holdfast
