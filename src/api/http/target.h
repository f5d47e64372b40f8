// The target of a request line, taken apart: strictly, so that no two readers of it disagree.
#pragma once

#include <expected>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace holdfast::api {

struct Target {
    std::string path; // as it came
    std::vector<std::string> segments;
    std::vector<std::pair<std::string, std::string>> query;
    // The authority of an absolute-form target, which counts in place of the Host field.
    std::optional<std::string> authority;
    bool operator==(const Target&) const = default;
};

// Reads a target in origin-form or absolute-form (RFC 9112, section 3.2), and "*". Or why it cannot be read:
// a percent escape that is none, what is no UTF-8 or has a control character once decoded, a slash or dots in
// disguise, empty segments (a single slash at the end apart), a fragment, more than 100 parameters.
std::expected<Target, std::string> parse_target(std::string_view text);

// The bytes of a percent-encoded text; nothing when an escape is none. `plus_is_space` as in forms.
std::optional<std::string> percent_decode(std::string_view text, bool plus_is_space);
// `text` as a segment of a path or a value of a query.
std::string percent_encode(std::string_view text);
// UTF-8 in its shortest form, without surrogates (RFC 3629), and without control characters.
bool is_clean_utf8(std::string_view text);

} // namespace holdfast::api
