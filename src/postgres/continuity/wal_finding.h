// What is wrong with an archive of the log.
#pragma once

#include "postgres/wal/lsn.h"

#include <string>
#include <string_view>

namespace holdfast::postgres {

enum class WalFault {
    damaged,   // a slice cannot be read, or is of another cluster
    untrue,    // a slice says of its bytes what is not so
    conflict,  // two slices have different bytes for one place
    broken,    // records do not decode, or do not follow one another
    history,   // the history file of a timeline is missing, or there are two that differ
    switching, // a timeline does not go on where the one before was left
};

constexpr std::string_view to_string(WalFault fault) {
    switch (fault) {
    case WalFault::damaged:
        return "damaged";
    case WalFault::untrue:
        return "untrue";
    case WalFault::conflict:
        return "conflict";
    case WalFault::broken:
        return "broken";
    case WalFault::history:
        return "history";
    case WalFault::switching:
        return "switching";
    }
    return "";
}

struct WalFinding {
    WalFault fault = WalFault::damaged;
    TimelineId timeline = 0;
    Lsn at;
    std::string object; // the slice; empty when it is about none by itself
    std::string what;
};

} // namespace holdfast::postgres
