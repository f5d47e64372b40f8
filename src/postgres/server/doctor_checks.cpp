#include "postgres/server/doctor_checks.h"

#include "postgres/server/replication.h"
#include "postgres/server/row.h"
#include "postgres/server/slots.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace holdfast::postgres {

namespace {

// That 'holdfast setup' makes unless told otherwise.
constexpr std::string_view usual_slot = "holdfast";
constexpr auto tolerable_clock_difference = std::chrono::seconds(2);

std::string quoted_name(const std::string& name) {
    std::string out = "\"";
    for (const char c : name) {
        if (c == '"') out += '"';
        out += c;
    }
    return out + "\"";
}

std::string mebibytes(std::uint64_t bytes) { return fmt::format("{} MiB", bytes >> 20); }

Check ok(std::string name, std::string found) {
    return {std::move(name), CheckState::ok, std::move(found), ""};
}

std::string mend_of(const Error& error) {
    return error.hint().empty() ? "see what the message names, and look again" : error.hint();
}

} // namespace

std::string backup_functions(int major) {
    return major >= 15 ? "pg_catalog.pg_backup_start(text, boolean), pg_catalog.pg_backup_stop(boolean)"
                       : "pg_catalog.pg_start_backup(text, boolean, boolean), "
                         "pg_catalog.pg_stop_backup(boolean, boolean)";
}

namespace {

void check_identity(const DoctorRequest& request, const ClusterFacts& facts, std::vector<Check>& checks) {
    const std::string identity = fmt::format("cluster {}", facts.system_identifier);
    try {
        if (request.expect_cluster) request.expect_cluster(facts.system_identifier);
        checks.push_back(ok("identity", identity));
    } catch (const Error& error) {
        if (error.code() == ErrorCode::cancelled) throw;
        const bool other = error.code() == ErrorCode::already_exists;
        checks.push_back({"identity", other ? CheckState::failed : CheckState::warning,
                          fmt::format("{}: {}", identity, error.message()),
                          other ? "correct the connection; else " + error.hint() : mend_of(error)});
    }
}

} // namespace

void check_cluster(const DoctorRequest& request, const ClusterFacts& facts, std::vector<Check>& checks) {
    checks.push_back(ok("version", "PostgreSQL " + facts.version_text));
    check_identity(request, facts, checks);
    checks.push_back(
        ok("kind", fmt::format("{} on timeline {}, log at {}", facts.in_recovery ? "standby" : "primary",
                               facts.timeline, facts.position.str())));
    if (facts.wal_level == "minimal") {
        checks.push_back({"wal_level", CheckState::failed, "minimal: the log is not enough to recover from",
                          "ALTER SYSTEM SET wal_level = 'replica'; then restart the server"});
    } else {
        checks.push_back(ok("wal_level", facts.wal_level));
    }
    if (facts.in_recovery && !facts.full_page_writes_at_checkpoint) {
        checks.push_back(
            {"full_page_writes", CheckState::failed,
             "off on the primary: backups of this standby are refused",
             "on the primary: ALTER SYSTEM SET full_page_writes = on; SELECT pg_reload_conf(); CHECKPOINT;"});
    } else if (!facts.full_page_writes) {
        checks.push_back(
            {"full_page_writes", CheckState::warning,
             "off: a crash can tear pages for good (while a backup runs the server switches it on)",
             "ALTER SYSTEM SET full_page_writes = on; SELECT pg_reload_conf();"});
    } else {
        checks.push_back(ok("full_page_writes", "on"));
    }
    if (facts.checksums) {
        checks.push_back(ok("checksums", "on"));
    } else {
        checks.push_back({"checksums", CheckState::warning,
                          "off: damaged pages cannot be told from good ones",
                          fmt::format("stop the server, run pg_checksums --enable -D {}, start it",
                                      facts.data_directory.value_or("DATA_DIRECTORY"))});
    }
}

void check_role(const DoctorRequest& request, const ClusterFacts& facts, std::vector<Check>& checks) {
    const RoleFacts& role = facts.role;
    const std::string name = quoted_name(role.name);
    const bool replicates = request.streams || !request.data_directory;
    if (role.superuser || role.replication) {
        checks.push_back(ok("role_replication", role.name + " may replicate"));
    } else if (replicates || !facts.archiver_works) {
        checks.push_back({"role_replication", replicates ? CheckState::failed : CheckState::warning,
                          role.name + " may not replicate: it cannot receive the log",
                          fmt::format("ALTER ROLE {} REPLICATION;", name)});
    } else {
        checks.push_back(
            ok("role_replication", role.name + " may not replicate, which archive_command does not need"));
    }
    if (request.data_directory) {
        if (role.starts_backups) {
            checks.push_back(ok("role_backup", role.name + " may start and stop backups"));
        } else {
            checks.push_back(
                {"role_backup", CheckState::failed, role.name + " may not start and stop backups",
                 fmt::format("in the database of the connection: GRANT EXECUTE ON FUNCTION {} TO {};",
                             backup_functions(facts.major()), name)});
        }
    }
    if (role.reads_all_settings && role.reads_all_stats) {
        checks.push_back(ok("role_monitor", role.name + " may read settings and statistics"));
    } else {
        checks.push_back(
            {"role_monitor", CheckState::warning,
             role.name + " may not read all settings and statistics: configuration files outside the data "
                         "directory, and who holds a backup up, stay unknown",
             fmt::format("GRANT pg_monitor TO {};", name)});
    }
}

namespace {

// Only trying shows what pg_hba.conf says.
void check_replication_connection(const DoctorRequest& request, const ClusterFacts& facts,
                                  std::vector<Check>& checks, Logger& logger, const std::stop_token& stop) {
    try {
        ReplicationConnection connection(request.connection, stop, logger);
        const SystemIdentity identity = connection.identify(stop);
        if (identity.system_identifier != facts.system_identifier) {
            checks.push_back({"replication_connection", CheckState::failed,
                              "the connection for replication leads to another cluster",
                              "name one host in the connection string"});
        } else {
            checks.push_back(ok("replication_connection", "accepted"));
        }
    } catch (const Error& error) {
        if (error.code() == ErrorCode::cancelled) throw;
        const bool refused = error.code() == ErrorCode::access_denied;
        checks.push_back(
            {"replication_connection", CheckState::failed, error.message(),
             refused ? fmt::format(
                           "in pg_hba.conf{} add a line like \"host replication {} samenet scram-sha-256\" "
                           "(or \"local replication {} peer\"), then SELECT pg_reload_conf();",
                           facts.hba_file ? fmt::format(" ({})", *facts.hba_file) : "", facts.role.name,
                           facts.role.name)
                     : error.hint()});
    }
}

// While the files come, a temporary slot keeps the log that the backup will ask for behind them.
void check_backup_slot(const ClusterFacts& facts, std::vector<Check>& checks) {
    const std::string found = fmt::format("{} of {} in use, one wanted while a backup lasts",
                                          facts.replication_slots_used, facts.max_replication_slots);
    if (facts.replication_slots_used < facts.max_replication_slots) {
        checks.push_back(ok("replication_slots", found));
        return;
    }
    checks.push_back({"replication_slots", CheckState::warning,
                      found + ": the server may remove log that a long backup needs",
                      fmt::format("ALTER SYSTEM SET max_replication_slots = {}; then restart the server",
                                  facts.max_replication_slots + 5)});
}

// What nobody takes is kept until the server's disk is full.
void check_other_slots(const DoctorRequest& request, const ClusterFacts& facts, Connection& connection,
                       std::vector<Check>& checks, const std::stop_token& stop) {
    std::vector<std::string> unused, drops;
    std::string ours;
    for (const SlotFacts& slot : read_slots(connection, stop)) {
        if (slot.name == request.slot || slot.temporary) continue;
        if (request.slot.empty() && slot.physical && slot.name == usual_slot) ours = slot.name;
        if (slot.active_pid || !slot.restart) continue;
        const std::uint64_t kept = facts.position > *slot.restart ? facts.position - *slot.restart : 0;
        unused.push_back(fmt::format("{} keeps {} for nobody", slot.name, mebibytes(kept)));
        drops.push_back(fmt::format("SELECT pg_drop_replication_slot('{}');", slot.name));
    }
    if (!ours.empty()) {
        checks.push_back(
            {"slot", CheckState::warning,
             fmt::format("there is a slot {}, and the source does not name it: a receiver that "
                         "stops is not missed",
                         ours),
             fmt::format("slot = \"{}\" below the source in holdfast.toml, or drop the slot", ours)});
    }
    if (unused.empty()) {
        checks.push_back(ok("other_slots", "none keeps log for nobody"));
    } else {
        checks.push_back({"other_slots", CheckState::warning, fmt::format("{}", fmt::join(unused, ", ")),
                          fmt::format("let their users connect, or, of those that nobody needs: {}",
                                      fmt::join(drops, " "))});
    }
}

void check_slot(const DoctorRequest& request, const ClusterFacts& facts, Connection& connection,
                std::vector<Check>& checks, const std::stop_token& stop) {
    const std::string make =
        fmt::format("SELECT pg_create_physical_replication_slot('{}', true);", request.slot);
    const std::optional<SlotFacts> slot = read_slot(connection, request.slot, stop);
    if (!slot) {
        const bool full = facts.replication_slots_used >= facts.max_replication_slots;
        checks.push_back(
            {"slot", CheckState::failed,
             fmt::format("there is no slot {}{}", request.slot,
                         full ? fmt::format(", and all {} slots are in use", facts.max_replication_slots)
                              : ""),
             full ? fmt::format("ALTER SYSTEM SET max_replication_slots = {}; restart the server; {}",
                                facts.max_replication_slots + 5, make)
                  : make});
        return;
    }
    if (!slot->physical) {
        checks.push_back({"slot", CheckState::failed,
                          fmt::format("the slot {} is a logical one", request.slot),
                          "choose another name for the slot"});
        return;
    }
    std::string found =
        fmt::format("{}, {}", request.slot, slot->wal_status.empty() ? "keeps no log" : slot->wal_status);
    if (slot->restart) found += fmt::format(", keeps the log from {}", slot->restart->str());
    found += slot->active_pid ? fmt::format(", in use by process {}", *slot->active_pid)
                              : std::string(", nobody receives through it now");
    const std::string again = fmt::format("SELECT pg_drop_replication_slot('{}'); {}", request.slot, make);
    if (slot->lost()) {
        checks.push_back({"slot", CheckState::failed, found + ": log that was not received is gone",
                          again + " and take a backup, which closes the gap"});
    } else if (slot->wal_status == "unreserved") {
        checks.push_back({"slot", CheckState::failed, found + ": it is about to lose its log",
                          "let the receiver run at once, or raise max_slot_wal_keep_size"});
    } else if (!slot->restart) {
        checks.push_back({"slot", CheckState::warning, found, again});
    } else {
        checks.push_back(ok("slot", found));
    }
    if (!facts.max_slot_wal_keep_bytes) {
        checks.push_back({"slot_limit", CheckState::warning,
                          "a receiver that stays away lets the log grow until the server's disk is full",
                          "ALTER SYSTEM SET max_slot_wal_keep_size = '50GB'; SELECT pg_reload_conf(); (what "
                          "fits the disk)"});
    } else {
        checks.push_back(ok("slot_limit", "slots keep at most " + mebibytes(*facts.max_slot_wal_keep_bytes)));
    }
}

} // namespace

void check_replication(const DoctorRequest& request, const ClusterFacts& facts, Connection& connection,
                       std::vector<Check>& checks, Logger& logger, const std::stop_token& stop) {
    check_other_slots(request, facts, connection, checks, stop);
    check_backup_slot(facts, checks);
    if (!request.streams && request.data_directory) return;
    const std::uint32_t wanted = (request.streams ? 1u : 0u) + (request.data_directory ? 0u : 1u);
    const std::uint32_t free =
        facts.max_wal_senders > facts.wal_senders_used ? facts.max_wal_senders - facts.wal_senders_used : 0;
    const std::string found =
        fmt::format("{} of {} in use, {} wanted", facts.wal_senders_used, facts.max_wal_senders, wanted);
    const std::string more = fmt::format("ALTER SYSTEM SET max_wal_senders = {}; then restart the server",
                                         std::max(10u, facts.max_wal_senders + wanted));
    // One of those in use may be ours.
    if (facts.max_wal_senders < wanted) {
        checks.push_back({"max_wal_senders", CheckState::failed, found, more});
    } else if (free < wanted) {
        checks.push_back({"max_wal_senders", CheckState::warning, found, more});
    } else {
        checks.push_back(ok("max_wal_senders", found));
    }
    if (facts.max_wal_senders > 0 && (facts.role.superuser || facts.role.replication))
        check_replication_connection(request, facts, checks, logger, stop);
    if (request.streams && !request.slot.empty()) {
        check_slot(request, facts, connection, checks, stop);
    } else if (request.streams) {
        checks.push_back({"slot", CheckState::warning,
                          "none: the server may remove log before it was received",
                          "name a slot for this source, and make it with `holdfast setup postgresql`"});
    }
}

void check_archiving(const DoctorRequest& request, const ClusterFacts& facts, Connection& connection,
                     std::vector<Check>& checks, const std::stop_token& stop) {
    const bool on = facts.archive_mode == "always" || (facts.archive_mode == "on" && !facts.in_recovery);
    const bool has_target = !facts.archive_command.empty() || !facts.archive_library.empty();
    if (request.archives && !on) {
        checks.push_back(
            {"archive_mode", CheckState::failed,
             facts.archive_mode + (facts.in_recovery ? " on a standby" : ""),
             fmt::format("ALTER SYSTEM SET archive_mode = '{}'; then restart the server; or "
                         "set slot below the source in holdfast.toml and run 'holdfast wal receive'",
                         facts.in_recovery ? "always" : "on")});
    } else {
        checks.push_back(ok("archive_mode", facts.archive_mode));
    }
    if (!on) return;
    if (!has_target) {
        checks.push_back(
            {"archive_command", CheckState::failed,
             "archive_mode is on without archive_command: log piles up on the server",
             "ALTER SYSTEM SET archive_command = 'holdfast wal push SOURCE %p'; SELECT pg_reload_conf();"});
        return;
    }
    const std::string by =
        facts.archive_command.empty() ? "library " + facts.archive_library : facts.archive_command;
    if (request.archives && facts.archive_command.find("wal push") == std::string::npos) {
        checks.push_back(
            {"archive_command", CheckState::warning,
             by + ": this does not look like 'holdfast wal push', and nothing else brings the log",
             "let it end in 'holdfast wal push SOURCE %p'; or set slot below the source in "
             "holdfast.toml and run 'holdfast wal receive'"});
    } else {
        checks.push_back(ok("archive_command", by));
    }
    const QueryResult result = connection.query(
        "SELECT archived_count, failed_count, last_archived_wal, last_failed_wal, last_failed_time, "
        "last_failed_wal IS NOT NULL AND (last_archived_time IS NULL OR last_failed_time > "
        "last_archived_time) AS failing "
        "FROM pg_stat_archiver",
        {}, stop);
    const Row row = only_row(result);
    if (row.boolean("failing")) {
        checks.push_back(
            {"archiver", CheckState::failed,
             fmt::format("{} could not be archived at {}; {} failures so far", row.text("last_failed_wal"),
                         row.text_or_empty("last_failed_time"), row.text("failed_count")),
             "see the server's log for what archive_command said; log piles up until it succeeds"});
    } else {
        checks.push_back(
            ok("archiver",
               fmt::format("{} archived, last {}; {} failures, none since", row.text("archived_count"),
                           row.cell("last_archived_wal").value_or("none"), row.text("failed_count"))));
    }
}

void check_clock(const ClusterFacts& facts, std::vector<Check>& checks) {
    const auto milliseconds = std::chrono::round<std::chrono::milliseconds>(facts.clock_ahead).count();
    const std::string found = fmt::format("the server's clock is {} ms {} ours", std::abs(milliseconds),
                                          milliseconds < 0 ? "behind" : "ahead of");
    if (std::chrono::abs(facts.clock_ahead) > tolerable_clock_difference + facts.clock_uncertainty) {
        checks.push_back({"clock", CheckState::warning, found + ": times of recovery go by the server's",
                          "let both machines keep their time by NTP"});
    } else {
        checks.push_back(ok("clock", found));
    }
}

} // namespace holdfast::postgres
