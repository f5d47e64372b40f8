#include "store/object_name.h"

#include "base/error.h"

#include <fmt/format.h>

namespace holdfast {

namespace {

bool is_name_character(char c) {
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '-';
}

// Whether every segment that has begun is allowed; the last one may still be empty.
bool is_name_beginning(std::string_view text) {
    bool at_segment_start = true;
    for (const char c : text) {
        if (at_segment_start ? (c == '.' || !is_name_character(c)) : (c != '/' && !is_name_character(c)))
            return false;
        at_segment_start = c == '/';
    }
    return text.size() <= largest_object_name_bytes;
}

// The name without bytes that could disturb a terminal.
std::string printable(std::string_view name) {
    std::string text;
    for (const char c : name.substr(0, 80)) text += c >= 0x20 && c < 0x7f ? c : '?';
    return text;
}

} // namespace

bool is_object_name(std::string_view name) {
    return !name.empty() && name.back() != '/' && is_name_beginning(name);
}

void check_object_name(std::string_view name) {
    if (!is_object_name(name)) {
        throw Error(ErrorCode::usage,
                    fmt::format("'{}' is not a name that an object can have", printable(name)));
    }
}

void check_object_prefix(std::string_view prefix) {
    if (!is_name_beginning(prefix)) {
        throw Error(ErrorCode::usage,
                    fmt::format("no object can have a name that begins with '{}'", printable(prefix)));
    }
}

} // namespace holdfast
