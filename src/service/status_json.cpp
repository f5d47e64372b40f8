#include "service/status_json.h"

#include <nlohmann/json.hpp>

namespace holdfast {

namespace {

nlohmann::json time_json(const std::optional<Timestamp>& time) {
    return time ? nlohmann::json(to_rfc3339(*time)) : nlohmann::json();
}

nlohmann::json number_json(const std::optional<double>& number) {
    return number ? nlohmann::json(*number) : nlohmann::json();
}

} // namespace

nlohmann::json to_json(const SourceMeasurement& measurement) {
    const SourceFacts& facts = measurement.facts;
    const BackupFacts* newest = facts.newest();
    const BackupFacts* good = facts.newest_good();
    nlohmann::json value = {
        {"source", facts.source},
        {"kind", facts.kind},
        {"policy", facts.policy},
        {"snapshots", measurement.snapshots},
        {"newest", newest == nullptr ? nlohmann::json() : nlohmann::json(to_rfc3339(newest->time))},
        {"newest_good", good == nullptr ? nlohmann::json() : nlohmann::json(to_rfc3339(good->time))},
        {"newest_size_bytes", newest == nullptr ? nlohmann::json() : nlohmann::json(newest->bytes)},
        {"newest_took_seconds", newest == nullptr || !newest->took
                                    ? nlohmann::json()
                                    : nlohmann::json(std::chrono::duration<double>(*newest->took).count())},
        {"newest_whole", newest == nullptr ? nlohmann::json() : nlohmann::json(newest->good)},
        {"window_start", time_json(facts.window_start)},
        {"window_end", time_json(facts.window_end)},
        {"exposure_seconds", number_json(facts.exposure_seconds)},
        {"exposure_since", time_json(measurement.exposure ? measurement.exposure->since : std::nullopt)},
        {"exposure_bound", measurement.exposure ? measurement.exposure->bound : std::string()},
        {"exposure_unknown", measurement.exposure_unknown},
        {"estimated_recovery_seconds", number_json(measurement.estimated_recovery_seconds)},
        {"verified", nlohmann::json()},
        {"retention_blocked", facts.retention_blocked},
        {"notes", measurement.notes}};
    if (facts.verification)
        value["verified"] = {{"time", to_rfc3339(facts.verification->time)},
                             {"good", facts.verification->good}};
    nlohmann::json gaps = nlohmann::json::array();
    for (const GapFacts& gap : facts.gaps)
        gaps.push_back({{"from", to_rfc3339(gap.from)}, {"to", to_rfc3339(gap.to)}});
    value["gaps"] = gaps;
    return value;
}

} // namespace holdfast
