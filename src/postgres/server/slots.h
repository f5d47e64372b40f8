// Physical replication slots: the server's promise to keep the log that a receiver has not confirmed.
#pragma once

#include "postgres/server/connection.h"
#include "postgres/wal/lsn.h"

#include <cstdint>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

namespace holdfast::postgres {

struct SlotFacts {
    std::string name;
    bool physical = true;
    bool temporary = false;
    std::optional<int> active_pid; // who streams through it now
    std::optional<Lsn> restart;    // the log is kept from here on; nothing: it never reserved any, or lost it
    // reserved, extended (more than max_wal_size is kept), unreserved (about to be lost) or lost; empty when
    // it reserves nothing.
    std::string wal_status;
    // How much log can be written before the slot is in danger; nothing: without limit.
    std::optional<std::int64_t> safe_wal_bytes;

    bool lost() const { return wal_status == "lost"; }
};

// What may be a slot's name: lower-case letters, digits and underscores, 1 to 63 of them.
bool is_slot_name(std::string_view name);

// Over an ordinary connection. Nothing when there is no such slot.
std::optional<SlotFacts> read_slot(Connection& connection, const std::string& name,
                                   std::stop_token stop = {});
// All that there are, logical ones too, by name.
std::vector<SlotFacts> read_slots(Connection& connection, std::stop_token stop = {});
// Makes a physical slot that keeps the log from now on. False when a physical slot of that name is there
// already; what it keeps is then as it was. Throws Error(usage) for an impossible name and
// Error(already_exists) for a logical slot of it.
bool create_slot(Connection& connection, const std::string& name, std::stop_token stop = {});
// False when there is none. Throws ServerError (retryable) while someone streams through it.
bool drop_slot(Connection& connection, const std::string& name, std::stop_token stop = {});

} // namespace holdfast::postgres
