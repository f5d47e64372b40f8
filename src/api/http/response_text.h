// Answers as the bytes that go out.
#pragma once

#include "api/http/message.h"
#include "base/clock.h"

#include <string>
#include <vector>

namespace holdfast::api {

struct ResponseFraming {
    bool keep_alive = true;
    bool head_only = false; // the answer to HEAD: its length, without its bytes
    Timestamp now{};
};

// Status line, fields and body, with what belongs on every answer: its length, its date, and that no browser
// is to guess, frame, or keep it; a handler may set another Content-Security-Policy or Cache-Control. A field
// of `response` that has a line break or a zero byte in it is left out.
std::string response_text(const Response& response, const ResponseFraming& framing);

// The events as text/event-stream; a line break in id or type ends it there.
std::string event_text(const std::vector<Event>& events);

// "Sat, 21 Nov 2026 23:54:21 GMT" (RFC 9110, section 5.6.7).
std::string http_date(Timestamp time);

} // namespace holdfast::api
