// How much log the server keeps for a slot while nobody takes it, and what that comes to.
#pragma once

#include "postgres/receive/alarms.h"
#include "postgres/receive/log_server.h"

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

namespace holdfast::postgres {

struct SlotRetention {
    std::uint64_t bytes = 0;                        // from where the slot keeps the log to the log's end
    std::string wal_status;                         // see SlotFacts
    std::optional<std::uint64_t> limit_bytes;       // max_slot_wal_keep_size; nothing: without limit
    std::optional<std::int64_t> safe_bytes;         // before the slot is in danger
    std::optional<std::uint64_t> free_disk_bytes{}; // where its log lies, if that is on this machine
};

// Asks the server on a connection of its own. Nothing when there is no such slot.
std::optional<SlotRetention> read_slot_retention(const LogServerSettings& settings,
                                                 const std::stop_token& stop, Logger& logger);

// For people: what the server keeps, and what happens if that goes on.
std::string describe(const SlotRetention& retention, const std::string& slot);

// Looks every `interval` while `wanted` says so, until `ended`; raises an alarm with what it found, and takes
// it back when it is no longer wanted. `found` gets it too, and nothing when it is over or not known.
void watch_slot(const LogServerSettings& settings, Duration interval, const std::function<bool()>& wanted,
                const std::function<void(const std::optional<SlotRetention>&)>& found, Alarms& alarms,
                Logger& logger, const std::stop_token& ended);

} // namespace holdfast::postgres
