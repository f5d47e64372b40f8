#include "documents/glob.h"

#include <cstddef>

namespace holdfast {

namespace {

unsigned char byte_at(std::string_view text, std::size_t at) { return static_cast<unsigned char>(text[at]); }

struct SetResult {
    std::size_t end; // just after the closing bracket, or npos when there is none
    bool matches;
};

// The set that begins with the bracket at `start`, asked for `byte`.
SetResult match_set(std::string_view pattern, std::size_t start, unsigned char byte) {
    std::size_t at = start + 1;
    const bool negated = at < pattern.size() && (pattern[at] == '!' || pattern[at] == '^');
    if (negated) ++at;
    bool found = false;
    const auto member = [&]() -> int {
        if (at < pattern.size() && pattern[at] == '\\') ++at;
        return at < pattern.size() ? byte_at(pattern, at++) : -1;
    };
    for (bool first = true;; first = false) {
        if (at >= pattern.size()) return {std::string_view::npos, false};
        if (pattern[at] == ']' && !first) return {at + 1, found != negated};
        const int low = member();
        int high = low;
        if (at + 1 < pattern.size() && pattern[at] == '-' && pattern[at + 1] != ']') {
            ++at;
            high = member();
        }
        if (low < 0 || high < 0) return {std::string_view::npos, false};
        if (low <= byte && byte <= high) found = true;
    }
}

// How many bytes of the pattern the single-byte element at `at` takes; 0 when it does not match `byte`.
std::size_t match_one(std::string_view pattern, std::size_t at, unsigned char byte) {
    switch (pattern[at]) {
    case '?':
        return 1;
    case '[': {
        const SetResult set = match_set(pattern, at, byte);
        return set.matches ? set.end - at : 0;
    }
    case '\\':
        return at + 1 < pattern.size() && byte_at(pattern, at + 1) == byte ? 2 : 0;
    default:
        return byte_at(pattern, at) == byte ? 1 : 0;
    }
}

} // namespace

bool glob_matches(std::string_view pattern, std::string_view name) {
    std::size_t p = 0;
    std::size_t n = 0;
    // Only the last star is ever tried again: an earlier one could only have eaten what the last one can.
    std::size_t star = std::string_view::npos;
    std::size_t star_name = 0;
    while (n < name.size()) {
        if (p < pattern.size() && pattern[p] == '*') {
            star = p++;
            star_name = n;
            continue;
        }
        const std::size_t length = p < pattern.size() ? match_one(pattern, p, byte_at(name, n)) : 0;
        if (length > 0) {
            p += length;
            ++n;
        } else if (star != std::string_view::npos) {
            p = star + 1;
            n = ++star_name;
        } else {
            return false;
        }
    }
    while (p < pattern.size() && pattern[p] == '*') ++p;
    return p == pattern.size();
}

std::string_view glob_problem(std::string_view pattern) {
    for (std::size_t at = 0; at < pattern.size();) {
        if (pattern[at] == '[') {
            const SetResult set = match_set(pattern, at, 0);
            if (set.end == std::string_view::npos)
                return "a set that begins with [ has no ] at its end; write \\[ for a plain [";
            at = set.end;
        } else if (pattern[at] == '\\') {
            if (at + 1 == pattern.size()) return "a backslash at the end has nothing to stand before";
            at += 2;
        } else {
            ++at;
        }
    }
    return {};
}

bool glob_is_literal(std::string_view pattern) {
    return pattern.find_first_of("*?[\\") == std::string_view::npos;
}

} // namespace holdfast
