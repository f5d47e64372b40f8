// What would be lost if the server were lost now.
#pragma once

#include "postgres/recovery/recovery_window.h"

#include <optional>

namespace holdfast::postgres {

struct LogExposure {
    // That the server has written and that cannot be recovered. 0: all can.
    std::uint64_t bytes = 0;
    // Where it begins.
    Lsn begin;
    // The newest moment that can be recovered: the last commit that is stored, or the end of a snapshot.
    // Whatever is not stored was committed later.
    Timestamp last_stored{};
};

// Of a server that has written up to `position` on `timeline`. The log of timelines that it has left counts
// as far as its own history has it. Empty when no moment on the way to there can be recovered.
std::optional<LogExposure> log_exposure(const RecoverySource& source, const RecoveryWindow& window,
                                        TimelineId timeline, Lsn position);

} // namespace holdfast::postgres
