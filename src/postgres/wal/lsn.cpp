#include "postgres/wal/lsn.h"

#include <algorithm>
#include <charconv>

#include <fmt/format.h>

namespace holdfast::postgres {

namespace {

constexpr std::size_t segment_name_digits = 24;

std::optional<std::uint32_t> parse_hex(std::string_view digits) {
    std::uint32_t value = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value, 16);
    if (digits.empty() || error != std::errc() || end != digits.data() + digits.size()) return std::nullopt;
    return value;
}

} // namespace

std::string Lsn::str() const { return fmt::format("{:X}/{:X}", value >> 32, value & 0xffffffff); }

std::optional<Lsn> parse_lsn(std::string_view text) {
    const std::size_t slash = text.find('/');
    if (slash == std::string_view::npos || slash > 8 || text.size() - slash > 9) return std::nullopt;
    const auto high = parse_hex(text.substr(0, slash));
    const auto low = parse_hex(text.substr(slash + 1));
    if (!high || !low) return std::nullopt;
    return Lsn{std::uint64_t{*high} << 32 | *low};
}

std::string segment_name(TimelineId timeline, Lsn position, std::uint64_t segment_bytes) {
    const std::uint64_t number = position.value / segment_bytes;
    const std::uint64_t per_id = (std::uint64_t{1} << 32) / segment_bytes;
    return fmt::format("{:08X}{:08X}{:08X}", timeline, number / per_id, number % per_id);
}

std::optional<SegmentStart> parse_segment_name(std::string_view name, std::uint64_t segment_bytes) {
    if (name.size() != segment_name_digits ||
        !std::ranges::all_of(name, [](char c) { return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'F'); }))
        return std::nullopt;
    const std::uint32_t timeline = *parse_hex(name.substr(0, 8));
    const std::uint64_t id = *parse_hex(name.substr(8, 8));
    const std::uint64_t part = *parse_hex(name.substr(16));
    if (timeline == 0 || part >= (std::uint64_t{1} << 32) / segment_bytes) return std::nullopt;
    return SegmentStart{timeline, Lsn{(id << 32) + part * segment_bytes}};
}

std::string history_name(TimelineId timeline) { return fmt::format("{:08X}.history", timeline); }

} // namespace holdfast::postgres
