#include "postgres/archive/wal_file_name.h"

#include <algorithm>
#include <charconv>

namespace holdfast::postgres {

namespace {

constexpr std::size_t timeline_digits = 8;
constexpr std::size_t segment_digits = 24;

bool is_upper_hex(std::string_view text, std::size_t digits) {
    return text.size() == digits &&
           std::ranges::all_of(text, [](char c) { return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'F'); });
}

} // namespace

std::optional<WalFileName> parse_wal_file_name(std::string_view name) {
    const std::size_t dot = std::min(name.find('.'), name.size());
    const std::string_view digits = name.substr(0, dot), ending = name.substr(dot);
    WalFileName parsed;
    if (is_upper_hex(digits, timeline_digits) && ending == ".history") {
        parsed.kind = WalFileKind::history;
    } else if (!is_upper_hex(digits, segment_digits)) {
        return std::nullopt;
    } else if (ending == ".partial") {
        parsed.kind = WalFileKind::partial;
    } else if (ending.size() == 16 && ending.ends_with(".backup") && is_upper_hex(ending.substr(1, 8), 8)) {
        parsed.kind = WalFileKind::backup;
    } else if (!ending.empty()) {
        return std::nullopt;
    }
    if (digits.size() == segment_digits) parsed.segment = digits;
    std::from_chars(digits.data(), digits.data() + timeline_digits, parsed.timeline, 16);
    if (parsed.timeline == 0) return std::nullopt;
    return parsed;
}

} // namespace holdfast::postgres
