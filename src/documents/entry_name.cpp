#include "documents/entry_name.h"

#include "base/error.h"

#include <fmt/format.h>

namespace holdfast {

namespace {

constexpr std::size_t largest_name_bytes = 4095;

// How many bytes the well-formed UTF-8 sequence at the start of `text` has (Unicode 15, table 3-7); 0 if
// none.
std::size_t utf8_length(std::string_view text) {
    const auto byte = [&](std::size_t i) {
        return i < text.size() ? static_cast<unsigned char>(text[i]) : 0U;
    };
    const auto follows = [&](std::size_t i) { return (byte(i) & 0xC0U) == 0x80U; };
    const unsigned first = byte(0);
    if (first < 0x80) return 1;
    if (first >= 0xC2 && first <= 0xDF) return follows(1) ? 2 : 0;
    if (first >= 0xE0 && first <= 0xEF) {
        if (!follows(1) || !follows(2)) return 0;
        const bool overlong = first == 0xE0 && byte(1) < 0xA0;
        const bool surrogate = first == 0xED && byte(1) > 0x9F;
        return overlong || surrogate ? 0 : 3;
    }
    if (first >= 0xF0 && first <= 0xF4) {
        if (!follows(1) || !follows(2) || !follows(3)) return 0;
        const bool overlong = first == 0xF0 && byte(1) < 0x90;
        const bool beyond = first == 0xF4 && byte(1) > 0x8F;
        return overlong || beyond ? 0 : 4;
    }
    return 0;
}

} // namespace

void check_entry_name(std::string_view name) {
    const char* why = nullptr;
    if (name.empty())
        why = "it is empty";
    else if (name == "." || name == "..")
        why = "it points out of its directory";
    else if (name.find('/') != std::string_view::npos)
        why = "it has a slash in it";
    else if (name.find('\0') != std::string_view::npos)
        why = "it has a zero byte in it";
    else if (name.size() > largest_name_bytes)
        why = "it is too long";
    if (why == nullptr) return;
    throw Error(ErrorCode::corrupt,
                fmt::format("refusing the entry name \"{}\": {}", printable(name.substr(0, 256)), why),
                "nothing was written for it; verify the snapshot, and ask who wrote it");
}

std::string printable(std::string_view bytes) {
    std::string out;
    out.reserve(bytes.size());
    while (!bytes.empty()) {
        const auto first = static_cast<unsigned char>(bytes.front());
        const std::size_t length = utf8_length(bytes);
        if (length == 0 || first < 0x20 || first == 0x7F || first == '\\') {
            out += fmt::format("\\x{:02x}", first);
            bytes.remove_prefix(1);
        } else {
            out += bytes.substr(0, length);
            bytes.remove_prefix(length);
        }
    }
    return out;
}

} // namespace holdfast
