// Making a server ready to be protected: role, slot and settings.
#pragma once

#include "base/log.h"
#include "postgres/server/connection.h"

#include <optional>
#include <stop_token>
#include <string>
#include <vector>

namespace holdfast::postgres {

struct SetupRequest {
    // As a superuser, or as far as another role may; in the database that the source will connect to, since
    // the right to start backups is granted in one database.
    ConnectionSettings connection{};
    std::string role = "holdfast";
    // Empty: no slot.
    std::string slot = "holdfast";
    // Whether backups read the data directory beside the server, and so start and stop them by SQL.
    bool beside_server = true;
    // How much log slots may keep, as PostgreSQL writes sizes ("50GB"). Less than what is set is not set: it
    // would lose log sooner.
    std::optional<std::string> max_slot_wal_keep_size{};
    // Without that, and where nothing is set: half of what is free on the server's disk. Else left as it is.
    bool limits_slots = false;
    // Nothing: archiving is left as it is.
    std::optional<std::string> archive_command{};
    // Only says what would be done.
    bool dry_run = false;
};

enum class SetupState {
    present, // nothing to do
    done,
    planned, // a dry run
    refused, // the server did not let us; `remark` has its reason
    by_hand, // cannot be done by SQL
};
// "present", "done", "planned", "refused", "by hand".
std::string_view to_string(SetupState state);

struct SetupStep {
    std::string what; // "role holdfast", "wal_level" …
    SetupState state = SetupState::present;
    std::string sql; // what was, would be, or was to be run; empty when present, and by hand
    std::string remark;
};

struct SetupReport {
    std::vector<SetupStep> steps;
    // Settings that take effect at the next start of the server only.
    std::vector<std::string> restart_for;
};

// Does only what is missing: a second run changes nothing. A step that is refused does not keep the others
// from being done. Throws what connections throw, and Error(usage) for an impossible name of a slot.
SetupReport set_up_server(const SetupRequest& request, Logger& logger = silent_logger(),
                          std::stop_token stop = {});

} // namespace holdfast::postgres
