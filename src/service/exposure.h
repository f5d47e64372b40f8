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

    // When the oldest commit was made that is not stored, by the server's clock; nothing: every commit is
    // stored. Where the log that is not stored could not be read, for the reason in `bound`, that is the last
    // commit that is stored: none that would be lost is older.
    std::optional<Timestamp> since{};
    std::string bound{};
    // The server's clock against this machine's, as far as they certainly differ.
    Duration clock_ahead{};

    // How long ago that was, at `now` of this machine: 0 when every commit is stored, and nothing when that
    // is not known. Who asks whether every commit is stored looks at `since`.
    std::optional<double> seconds(Timestamp now) const;
};

// The server of a source, as it is reached from here.
struct ExposedServer {
    std::string connection;       // as libpq takes it
    std::string data_directory{}; // where its files can be read from here; empty: they cannot
};

// Asks the server, and looks for the oldest commit in what is not stored: in its files, or as it sends it to
// a role that may replicate. `window` is of `from`. A server that does not answer is an answer; throws
// Error(cancelled) alone.
Exposure measure_exposure(const ExposedServer& server, const Repository& repository,
                          const postgres::RecoverySource& from, const postgres::RecoveryWindow& window,
                          const std::stop_token& stop);

} // namespace holdfast
