// What a server has written that cannot be recovered yet, or why that is not known.
#pragma once

#include "postgres/recovery/log_exposure.h"
#include "postgres/recovery/recovery_window.h"
#include "repository/repository.h"

#include <optional>
#include <stop_token>
#include <string>

namespace holdfast {

struct Exposure {
    std::optional<postgres::LogExposure> known;
    std::string unknown; // why

    // How long ago the last commit was made that is stored, while something is not.
    std::optional<double> seconds(Timestamp now) const;
};

// Asks the server that `connection` (as libpq takes it) leads to. `window` is of `from`. A server that does
// not answer is an answer; throws Error(cancelled) alone.
Exposure measure_exposure(const std::string& connection, const Repository& repository,
                          const postgres::RecoverySource& from, const postgres::RecoveryWindow& window,
                          const std::stop_token& stop);

} // namespace holdfast
