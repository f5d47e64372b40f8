#include "base/terminal_text.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>

namespace holdfast {

// RFC 3629: shortest form only, no surrogates, nothing above U+10FFFF.
Character first_character(std::string_view text) {
    if (text.empty()) return {};
    const auto byte_at = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
    const unsigned char first = byte_at(0);
    if (first < 0x80) return {1, first};
    const std::size_t size = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
    if (first < 0xc2 || first > 0xf4 || text.size() < size) return {};
    std::uint32_t number = first & (0x7fU >> size);
    for (std::size_t i = 1; i < size; ++i) {
        if ((byte_at(i) & 0xc0) != 0x80) return {};
        number = number << 6 | (byte_at(i) & 0x3fU);
    }
    constexpr std::array<std::uint32_t, 5> smallest{0, 0, 0x80, 0x800, 0x10000};
    if (number < smallest[size] || number > 0x10ffff || (number >= 0xd800 && number <= 0xdfff)) return {};
    return {size, number};
}

bool is_control(std::uint32_t character) {
    return character < 0x20 || (character >= 0x7f && character < 0xa0) || character == 0x61c ||
           (character >= 0x200e && character <= 0x200f) || (character >= 0x2028 && character <= 0x202e) ||
           (character >= 0x2066 && character <= 0x2069);
}

std::string harmless(std::string_view text) {
    std::string out;
    out.reserve(text.size());
    while (!text.empty()) {
        const auto [size, number] = first_character(text);
        const std::size_t taken = std::max<std::size_t>(size, 1);
        if (size != 0 && !is_control(number)) {
            out += text.substr(0, taken);
        } else {
            for (const char byte : text.substr(0, taken))
                out += fmt::format("\\x{:02x}", static_cast<unsigned char>(byte));
        }
        text.remove_prefix(taken);
    }
    return out;
}

} // namespace holdfast
