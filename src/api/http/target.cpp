#include "api/http/target.h"

#include <algorithm>
#include <cstdint>

namespace holdfast::api {

namespace {

constexpr std::size_t most_parameters = 100;

int digit_of(char letter) {
    if (letter >= '0' && letter <= '9') return letter - '0';
    if (letter >= 'a' && letter <= 'f') return letter - 'a' + 10;
    if (letter >= 'A' && letter <= 'F') return letter - 'A' + 10;
    return -1;
}

bool is_unreserved(unsigned char byte) {
    return (byte >= '0' && byte <= '9') || (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
           byte == '-' || byte == '.' || byte == '_' || byte == '~';
}

// How many bytes the character has that begins with `first`, and the bits of it that count; 0: none begins
// so.
std::size_t length_of(unsigned char first, std::uint32_t& bits) {
    if (first < 0x80) {
        bits = first;
        return 1;
    }
    if (first >= 0xC2 && first < 0xE0) {
        bits = first & 0x1Fu;
        return 2;
    }
    if (first >= 0xE0 && first < 0xF0) {
        bits = first & 0x0Fu;
        return 3;
    }
    if (first >= 0xF0 && first < 0xF5) {
        bits = first & 0x07u;
        return 4;
    }
    return 0;
}

bool is_control(std::uint32_t character) {
    return character < 0x20 || (character >= 0x7F && character < 0xA0);
}

std::expected<std::vector<std::string>, std::string> segments_of(std::string_view path) {
    std::vector<std::string> segments;
    path.remove_prefix(1);
    while (!path.empty()) {
        const std::size_t slash = path.find('/');
        const auto decoded = percent_decode(path.substr(0, slash), false);
        if (!decoded) return std::unexpected("the path has a percent escape that is none");
        if (decoded->empty()) return std::unexpected("the path has an empty segment");
        if (*decoded == "." || *decoded == "..") return std::unexpected("the path has a segment of dots");
        if (decoded->find_first_of("/\\") != std::string::npos)
            return std::unexpected("the path has a slash inside a segment");
        if (!is_clean_utf8(*decoded))
            return std::unexpected("the path is not UTF-8, or has control characters");
        segments.push_back(*decoded);
        if (slash == std::string_view::npos) break;
        path.remove_prefix(slash + 1);
    }
    return segments;
}

std::expected<std::vector<std::pair<std::string, std::string>>, std::string>
parameters_of(std::string_view query) {
    std::vector<std::pair<std::string, std::string>> parameters;
    while (!query.empty()) {
        const std::size_t end = query.find('&');
        const std::string_view pair = query.substr(0, end);
        query.remove_prefix(end == std::string_view::npos ? query.size() : end + 1);
        if (pair.empty()) continue;
        if (parameters.size() == most_parameters) return std::unexpected("the query has too many parameters");
        const std::size_t equals = pair.find('=');
        auto name = percent_decode(pair.substr(0, equals), true);
        auto value = percent_decode(
            equals == std::string_view::npos ? std::string_view() : pair.substr(equals + 1), true);
        if (!name || !value) return std::unexpected("the query has a percent escape that is none");
        if (!is_clean_utf8(*name) || !is_clean_utf8(*value))
            return std::unexpected("the query is not UTF-8, or has control characters");
        parameters.emplace_back(std::move(*name), std::move(*value));
    }
    return parameters;
}

} // namespace

std::optional<std::string> percent_decode(std::string_view text, bool plus_is_space) {
    std::string decoded;
    decoded.reserve(text.size());
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] == '+' && plus_is_space) {
            decoded += ' ';
        } else if (text[i] != '%') {
            decoded += text[i];
        } else {
            if (i + 2 >= text.size()) return std::nullopt;
            const int high = digit_of(text[i + 1]), low = digit_of(text[i + 2]);
            if (high < 0 || low < 0) return std::nullopt;
            decoded += static_cast<char>(high * 16 + low);
            i += 2;
        }
    }
    return decoded;
}

std::string percent_encode(std::string_view text) {
    constexpr std::string_view digits = "0123456789ABCDEF";
    std::string encoded;
    for (const char letter : text) {
        const auto byte = static_cast<unsigned char>(letter);
        if (is_unreserved(byte)) {
            encoded += letter;
        } else {
            encoded += '%';
            encoded += digits[byte >> 4];
            encoded += digits[byte & 15];
        }
    }
    return encoded;
}

bool is_clean_utf8(std::string_view text) {
    for (std::size_t i = 0; i < text.size();) {
        std::uint32_t character = 0;
        const std::size_t length = length_of(static_cast<unsigned char>(text[i]), character);
        if (length == 0 || i + length > text.size()) return false;
        for (std::size_t k = 1; k < length; ++k) {
            const auto byte = static_cast<unsigned char>(text[i + k]);
            if ((byte & 0xC0u) != 0x80u) return false;
            character = (character << 6) | (byte & 0x3Fu);
        }
        const bool overlong = (length == 3 && character < 0x800) || (length == 4 && character < 0x10000);
        const bool surrogate = character >= 0xD800 && character < 0xE000;
        if (overlong || surrogate || character > 0x10FFFF || is_control(character)) return false;
        i += length;
    }
    return true;
}

std::expected<Target, std::string> parse_target(std::string_view text) {
    Target target;
    if (text == "*") {
        target.path = "*";
        return target;
    }
    for (const std::string_view scheme : {"https://", "http://"}) {
        if (text.size() < scheme.size() ||
            !std::ranges::equal(text.substr(0, scheme.size()), scheme,
                                [](char a, char b) { return (a | 32) == (b | 32); }))
            continue;
        text.remove_prefix(scheme.size());
        const std::size_t end = std::min(text.find_first_of("/?#"), text.size());
        if (end == 0) return std::unexpected("the target has no authority");
        target.authority = std::string(text.substr(0, end));
        text.remove_prefix(end);
        if (text.empty()) text = "/";
        break;
    }
    if (text.empty() || text.front() != '/') return std::unexpected("the target does not begin with a slash");
    if (text.find('#') != std::string_view::npos) return std::unexpected("the target has a fragment");
    const std::size_t question = text.find('?');
    target.path = std::string(text.substr(0, question));
    auto segments = segments_of(target.path);
    if (!segments) return std::unexpected(segments.error());
    target.segments = std::move(*segments);
    if (question != std::string_view::npos) {
        auto parameters = parameters_of(text.substr(question + 1));
        if (!parameters) return std::unexpected(parameters.error());
        target.query = std::move(*parameters);
    }
    return target;
}

} // namespace holdfast::api
