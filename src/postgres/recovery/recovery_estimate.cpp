#include "postgres/recovery/recovery_estimate.h"

#include "base/error.h"

#include <algorithm>

namespace holdfast::postgres {

namespace {

constexpr std::uint64_t sample_bytes = std::uint64_t{8} << 20;
constexpr double least_seconds = 1e-4;
// One process replays: of changes to pages that are in memory, about this much a second.
constexpr double replay_bytes_per_second = 60e6;
constexpr double start_seconds = 1; // of a server, and of its end of recovery

double seconds(Duration duration) { return std::chrono::duration<double>(duration).count(); }

} // namespace

std::optional<RecoveryEstimate> estimate_recovery(const RecoverySource& source, const RecoveryPlan& plan,
                                                  std::uint64_t snapshot_bytes, unsigned readers,
                                                  Clock& clock) {
    std::uint64_t bytes = 0;
    const Duration begin = clock.steady();
    try {
        for (const PathStep& step : plan.log.steps) {
            if (bytes >= sample_bytes) break;
            bytes += source.content(step.slice).size();
        }
    } catch (const Error& error) {
        if (error.code() == ErrorCode::cancelled) throw;
        return std::nullopt;
    }
    if (bytes == 0) return std::nullopt;
    const double rate = static_cast<double>(bytes) /
                        std::max(seconds(clock.steady() - begin), least_seconds) * std::max(readers, 1U);
    RecoveryEstimate estimate;
    estimate.read_bytes_per_second = static_cast<std::uint64_t>(rate);
    estimate.restore_seconds = static_cast<double>(snapshot_bytes) / rate;
    estimate.replay_seconds =
        start_seconds + static_cast<double>(plan.log_bytes) / std::min(rate, replay_bytes_per_second);
    return estimate;
}

} // namespace holdfast::postgres
