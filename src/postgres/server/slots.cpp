#include "postgres/server/slots.h"

#include "postgres/server/row.h"

#include <algorithm>

#include <fmt/format.h>

namespace holdfast::postgres {

namespace {

constexpr std::size_t longest_name = 63;
constexpr std::string_view duplicate_object = "42710";
constexpr std::string_view undefined_object = "42704";

} // namespace

bool is_slot_name(std::string_view name) {
    return !name.empty() && name.size() <= longest_name && std::ranges::all_of(name, [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
    });
}

std::vector<SlotFacts> read_slots(Connection& connection, std::stop_token stop) {
    const QueryResult result = connection.query(
        "SELECT slot_name, slot_type, temporary, active_pid, restart_lsn, wal_status, safe_wal_size "
        "FROM pg_replication_slots ORDER BY slot_name",
        {}, stop);
    std::vector<SlotFacts> slots;
    for (std::size_t i = 0; i < result.rows.size(); ++i) {
        const Row row(result, i);
        slots.push_back({row.text("slot_name"), row.text("slot_type") == "physical", row.boolean("temporary"),
                         row.optional_number<int>("active_pid"), row.lsn("restart_lsn"),
                         row.text_or_empty("wal_status"),
                         row.optional_number<std::int64_t>("safe_wal_size")});
    }
    return slots;
}

std::optional<SlotFacts> read_slot(Connection& connection, const std::string& name, std::stop_token stop) {
    std::vector<SlotFacts> slots = read_slots(connection, std::move(stop));
    const auto found = std::ranges::find(slots, name, &SlotFacts::name);
    return found == slots.end() ? std::nullopt : std::optional(std::move(*found));
}

bool create_slot(Connection& connection, const std::string& name, std::stop_token stop) {
    if (!is_slot_name(name)) {
        throw Error(ErrorCode::usage, fmt::format("'{}' cannot be the name of a replication slot", name),
                    "use lower-case letters, digits and underscores, at most 63 of them");
    }
    try {
        connection.query("SELECT pg_create_physical_replication_slot($1, true)", {name}, stop);
        return true;
    } catch (const ServerError& error) {
        if (error.sqlstate() != duplicate_object) throw;
    }
    const std::optional<SlotFacts> there = read_slot(connection, name, stop);
    if (there && !there->physical) {
        throw Error(ErrorCode::already_exists, fmt::format("the replication slot {} is a logical one", name),
                    "choose another name for the slot");
    }
    return false;
}

bool drop_slot(Connection& connection, const std::string& name, std::stop_token stop) {
    try {
        connection.query("SELECT pg_drop_replication_slot($1)", {name}, stop);
        return true;
    } catch (const ServerError& error) {
        if (error.sqlstate() != undefined_object) throw;
        return false;
    }
}

} // namespace holdfast::postgres
