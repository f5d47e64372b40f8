// Positions in the write-ahead log, timelines, and the names of segments.
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace holdfast::postgres {

using TimelineId = std::uint32_t;

// A log sequence number: a byte position in the write-ahead log. 0 is no position.
struct Lsn {
    std::uint64_t value = 0;

    auto operator<=>(const Lsn&) const = default;
    explicit operator bool() const { return value != 0; }
    Lsn operator+(std::uint64_t bytes) const { return {value + bytes}; }
    std::uint64_t operator-(Lsn other) const { return value - other.value; }
    // As PostgreSQL prints it: "16/B374D848".
    std::string str() const;
};

// Empty for anything but two hexadecimal numbers of 1 to 8 digits with a slash between.
std::optional<Lsn> parse_lsn(std::string_view text);

// A range of the log of one timeline: [begin, end).
struct WalRange {
    TimelineId timeline = 0;
    Lsn begin;
    Lsn end;

    bool operator==(const WalRange&) const = default;
    std::uint64_t bytes() const { return end - begin; }
};

// The file of a segment: 24 hexadecimal digits of the timeline, and of the position divided by the segment
// size (a power of two from 1 MiB to 1 GiB).
std::string segment_name(TimelineId timeline, Lsn position, std::uint64_t segment_bytes);

struct SegmentStart {
    TimelineId timeline = 0;
    Lsn begin;

    bool operator==(const SegmentStart&) const = default;
};
// Empty when `name` is no segment's, or of another segment size.
std::optional<SegmentStart> parse_segment_name(std::string_view name, std::uint64_t segment_bytes);

// "0000000A.history".
std::string history_name(TimelineId timeline);

} // namespace holdfast::postgres
