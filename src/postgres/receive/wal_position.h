// A place in the log, with the timeline: what comes later is greater.
#pragma once

#include "postgres/wal/lsn.h"

namespace holdfast::postgres {

struct WalPosition {
    TimelineId timeline = 0;
    Lsn lsn;

    auto operator<=>(const WalPosition&) const = default;
    // "0/16B3740 (timeline 1)".
    std::string str() const { return lsn.str() + " (timeline " + std::to_string(timeline) + ")"; }
};

// Where the segment of a position begins.
inline Lsn segment_begin(Lsn lsn, std::uint64_t segment_bytes) {
    return Lsn{lsn.value / segment_bytes * segment_bytes};
}

} // namespace holdfast::postgres
