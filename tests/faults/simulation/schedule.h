// One schedule: everything that happens in it follows from its seed.
#pragma once

#include "faults/simulation/world.h"

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

namespace holdfast::simulation {

struct ScheduleResult {
    std::optional<std::string> lost;      // some snapshot that counts
    std::optional<std::string> left_over; // what collections ought to have deleted
    // Either.
    std::optional<std::string> violation() const { return lost ? lost : left_over; }
    std::uint64_t operations = 0, commits = 0, collections = 0, fenced = 0, left = 0, resumed = 0, reused = 0,
                  locks = 0, dropped_slices = 0;
    // Adds the numbers.
    void add(const ScheduleResult& other);
};

// Runs the schedule of `seed` with the steps given. `trace` gets a line for everything that happens.
ScheduleResult run_schedule(const Keys& keys, std::uint64_t seed, const ProtocolSteps& steps,
                            const std::function<void(const std::string&)>& trace = {});

} // namespace holdfast::simulation
