// Mail as it goes over the wire (RFC 5322, RFC 2045, RFC 2047).
#pragma once

#include "base/clock.h"

#include <string>
#include <string_view>
#include <vector>

namespace holdfast {

struct Mail {
    std::string from;            // an address
    std::vector<std::string> to; // addresses
    std::string subject, text;   // UTF-8
    std::string message_id;      // the same when it is sent again; without <>
    std::string thread_id;       // of all mails about the same; without <>
    Timestamp date{};
};

// The whole message, lines ending in CRLF, of ASCII alone.
std::string mime_message(const Mail& mail);
// A header's text as encoded words, when it is not plain; folded.
std::string encoded_header(std::string_view text);
// "Sun, 22 Nov 2026 00:12:13 +0000".
std::string mail_date(Timestamp time);

} // namespace holdfast
