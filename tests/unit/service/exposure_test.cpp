// How old what is not stored is, with clocks that differ.
#include "service/exposure.h"
#include "service/measure.h"
#include "service/status_json.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace holdfast {
namespace {

const Timestamp now = from_rfc3339("2026-11-20T10:00:00Z");

Exposure since(Timestamp time) {
    Exposure exposure;
    exposure.known = postgres::LogExposure{.bytes = 100, .begin = {}, .last_stored = {}};
    exposure.since = time;
    return exposure;
}

TEST(ExposureSeconds, GoByTheClockOfTheServer) {
    EXPECT_EQ(since(now - std::chrono::minutes(10)).seconds(now), 600.0);
    Exposure ahead = since(now + std::chrono::minutes(3));
    ahead.clock_ahead = std::chrono::minutes(5);
    EXPECT_EQ(ahead.seconds(now), 120.0);
    Exposure behind = since(now - std::chrono::minutes(10));
    behind.clock_ahead = -std::chrono::minutes(5);
    EXPECT_EQ(behind.seconds(now), 300.0);
    EXPECT_EQ(since(now + std::chrono::minutes(3)).seconds(now), 0.0);
    EXPECT_EQ(Exposure{}.seconds(now), std::nullopt);
}

TEST(ExposureSeconds, NoneAreNotThatEveryCommitIsStored) {
    SourceMeasurement measurement;
    measurement.exposure = since(now + std::chrono::minutes(3));
    measurement.facts.exposure_seconds = measurement.exposure->seconds(now);
    const nlohmann::json some = to_json(measurement);
    EXPECT_EQ(some.at("exposure_seconds"), 0.0);
    EXPECT_EQ(some.at("exposure_since"), "2026-11-20T10:03:00Z");
    measurement.exposure->since.reset();
    EXPECT_TRUE(to_json(measurement).at("exposure_since").is_null());
    EXPECT_EQ(measurement.exposure->seconds(now), 0.0);
}

} // namespace
} // namespace holdfast
