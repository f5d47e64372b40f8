#include "postgres/server/setup.h"

#include "postgres/server/cluster_facts.h"
#include "postgres/server/doctor_checks.h"
#include "postgres/server/row.h"
#include "postgres/server/slots.h"

#include <algorithm>
#include <filesystem>

#include <fmt/format.h>

namespace holdfast::postgres {

namespace {

// Senders and slots that are to be left for others, beside ours.
constexpr std::uint32_t spare_senders = 2;
constexpr const char* slot_limit = "max_slot_wal_keep_size";
// With less a slot would lose its log as soon as a receiver is started anew.
constexpr std::uint64_t least_slot_mebibytes = 256;

class Setup {
  public:
    Setup(const SetupRequest& request, Logger& logger, std::stop_token stop)
        : request_(request),
          logger_(logger),
          stop_(std::move(stop)),
          connection_(request.connection, stop_, logger),
          facts_(read_cluster_facts(connection_, system_clock(), {}, stop_)) {}

    SetupReport run() {
        set_up_role();
        set_up_settings();
        set_up_slot();
        look_at_access();
        return std::move(report_);
    }

  private:
    void present(std::string what) {
        report_.steps.push_back({std::move(what), SetupState::present, "", ""});
    }

    // True when it is done now, or would be.
    bool change(std::string what, std::string sql) {
        if (request_.dry_run) {
            report_.steps.push_back({std::move(what), SetupState::planned, std::move(sql), ""});
            return true;
        }
        try {
            connection_.execute(sql, stop_);
        } catch (const ServerError& error) {
            if (error.sqlstate().empty() || error.retryable()) throw; // not an answer to this step
            report_.steps.push_back({std::move(what), SetupState::refused, std::move(sql), error.message()});
            return false;
        }
        logger_.info("setup_step", {{"what", what}, {"sql", sql}});
        report_.steps.push_back({std::move(what), SetupState::done, std::move(sql), ""});
        return true;
    }

    void refuse_on_standby(std::string what) {
        report_.steps.push_back(
            {std::move(what), SetupState::refused, "",
             "this is a standby: run the set-up on its primary, which hands the role down"});
    }

    bool role_is(const std::string& condition) {
        return connection_.query_value(
                   fmt::format("SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = $1 AND {})", condition),
                   {request_.role}, stop_) == "t";
    }

    void set_up_role() {
        const std::string role = connection_.quote_identifier(request_.role);
        const std::string what = "role " + request_.role;
        const bool exists = role_is("true");
        const auto change_role = [&](bool there, const std::string& step, const std::string& sql) {
            if (there) {
                present(step);
            } else if (facts_.in_recovery) {
                refuse_on_standby(step);
            } else {
                change(step, sql);
            }
        };
        if (!exists) {
            change_role(false, what, fmt::format("CREATE ROLE {} LOGIN REPLICATION;", role));
        } else {
            change_role(role_is("(rolsuper OR rolreplication) AND rolcanlogin"), what,
                        fmt::format("ALTER ROLE {} LOGIN REPLICATION;", role));
        }
        change_role(exists && role_is("pg_has_role(rolname, 'pg_monitor', 'MEMBER')"),
                    "membership in pg_monitor", fmt::format("GRANT pg_monitor TO {};", role));
        if (!request_.beside_server) return;
        const std::string functions = backup_functions(facts_.major()) +
                                      ", pg_catalog.pg_create_restore_point(text)" +
                                      ", pg_catalog.pg_switch_wal()";
        // The list has commas inside of brackets: cut at the names.
        std::string all_executable = "true";
        for (std::size_t at = 0; at != std::string::npos;) {
            const std::size_t next = functions.find(", pg_catalog.", at);
            const std::string one = functions.substr(at, next == std::string::npos ? next : next - at);
            all_executable += fmt::format(" AND has_function_privilege(rolname, '{}', 'EXECUTE')", one);
            at = next == std::string::npos ? next : next + 2;
        }
        change_role(exists && role_is(all_executable), "right to start and stop backups",
                    fmt::format("GRANT EXECUTE ON FUNCTION {} TO {};", functions, role));
    }

    // `restart`: the setting takes effect at the next start only.
    void set(const std::string& name, const std::string& value, bool restart) {
        if (!change(name, fmt::format("ALTER SYSTEM SET {} = {};", name, connection_.quote_literal(value))))
            return;
        if (restart) {
            report_.restart_for.push_back(name);
        } else {
            reload_ = true;
        }
    }

    void set_up_settings() {
        if (facts_.wal_level == "minimal") {
            set("wal_level", "replica", true);
        } else {
            present("wal_level");
        }
        if (facts_.max_wal_senders < facts_.wal_senders_used + spare_senders) {
            set("max_wal_senders", std::to_string(std::max(10u, facts_.wal_senders_used + 5)), true);
        } else {
            present("max_wal_senders");
        }
        const bool has_slot =
            !request_.slot.empty() && read_slot(connection_, request_.slot, stop_).has_value();
        if (!request_.slot.empty() && !has_slot &&
            facts_.max_replication_slots <= facts_.replication_slots_used) {
            set("max_replication_slots", std::to_string(facts_.replication_slots_used + 5), true);
        } else {
            present("max_replication_slots");
        }
        if (!facts_.full_page_writes) {
            set("full_page_writes", "on", false);
        } else {
            present("full_page_writes");
        }
        if (request_.max_slot_wal_keep_size) {
            limit_slots(*request_.max_slot_wal_keep_size);
        } else if (request_.limits_slots && !request_.slot.empty()) {
            limit_slots_by_disk();
        }
        if (request_.archive_command) set_up_archiving(*request_.archive_command);
        if (reload_) change("reload", "SELECT pg_reload_conf();");
    }

    void present_because(const std::string& what, std::string remark) {
        report_.steps.push_back({what, SetupState::present, "", std::move(remark)});
    }

    void limit_slots(const std::string& value) {
        const std::optional<std::uint64_t> now = facts_.max_slot_wal_keep_bytes;
        // "1024MB" and "1GB" are the same.
        const std::int64_t wanted =
            value == "-1"
                ? -1
                : std::stoll(
                      connection_.query_value("SELECT pg_size_bytes($1)", {value}, stop_).value_or("-1"));
        if (wanted < 0 ? !now : now && *now == static_cast<std::uint64_t>(wanted)) {
            present(slot_limit);
        } else if (now && wanted >= 0 && static_cast<std::uint64_t>(wanted) < *now) {
            present_because(
                slot_limit,
                fmt::format("slots may keep {} MiB, which is more than {}: it stays; to keep less, "
                            "set it by hand",
                            *now >> 20, value));
        } else {
            set(slot_limit, value, false);
        }
    }

    // A receiver that stays away is to lose its log before the server loses its disk.
    void limit_slots_by_disk() {
        if (const std::optional<std::uint64_t> now = facts_.max_slot_wal_keep_bytes)
            return present_because(slot_limit, fmt::format("slots may keep {} MiB", *now >> 20));
        const auto place = place_of_log();
        std::error_code error;
        const std::filesystem::space_info space =
            place ? std::filesystem::space(*place, error) : std::filesystem::space_info{};
        const std::uint64_t half = (space.available / 2) >> 20;
        if (!place || error || half < least_slot_mebibytes) {
            report_.steps.push_back(
                {slot_limit, SetupState::by_hand, "",
                 place && !error
                     ? fmt::format(
                           "only {} MiB are free at {}: make room first, or say how much slots may keep",
                           space.available >> 20, *place)
                     : "how much is free on the server's disk cannot be seen from here: say how much slots "
                       "may "
                       "keep"});
            return;
        }
        // The limit holds for all slots: one that keeps much already would lose it at the next checkpoint.
        const std::uint64_t kept = most_kept_by_a_slot() >> 20;
        if (kept > half / 2) {
            report_.steps.push_back(
                {slot_limit, SetupState::by_hand, "",
                 fmt::format("a slot of this server keeps {} MiB already, and half of what is free "
                             "at {} are {} MiB: see what that slot is for, then say how much slots "
                             "may keep",
                             kept, *place, half)});
            return;
        }
        set(slot_limit, half >= 2048 ? fmt::format("{}GB", half >> 10) : fmt::format("{}MB", half), false);
        report_.steps.back().remark =
            fmt::format("half of the {} MiB that are free at {}: when a receiver stays away for so long that "
                        "more would be kept, its slot loses log rather than the server its disk",
                        space.available >> 20, *place);
    }

    std::uint64_t most_kept_by_a_slot() {
        return std::stoull(
            connection_
                .query_value(
                    "SELECT greatest(coalesce(max(pg_wal_lsn_diff(CASE WHEN pg_is_in_recovery() THEN "
                    "pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END, restart_lsn)), "
                    "0), 0)::bigint FROM pg_replication_slots",
                    {}, stop_)
                .value_or("0"));
    }

    // Where the log lies, if the server is on this machine.
    std::optional<std::string> place_of_log() {
        if (!facts_.data_directory ||
            connection_.query_value("SELECT inet_server_addr() IS NULL", {}, stop_) != "t")
            return std::nullopt;
        return *facts_.data_directory + "/pg_wal";
    }

    // While archive_mode is off the setting itself is not shown.
    std::string configured_archive_command() {
        try {
            return connection_
                .query_value(
                    "SELECT coalesce((SELECT setting FROM pg_file_settings WHERE name = 'archive_command' "
                    "ORDER BY seqno DESC LIMIT 1), '')",
                    {}, stop_)
                .value_or("");
        } catch (const ServerError& error) {
            if (error.code() != ErrorCode::access_denied) throw;
            return {};
        }
    }

    void set_up_archiving(const std::string& command) {
        const bool on =
            facts_.archive_mode == "always" || (facts_.archive_mode == "on" && !facts_.in_recovery);
        const std::string now = on ? facts_.archive_command : configured_archive_command();
        if (now == command) {
            present("archive_command");
        } else {
            set("archive_command", command, false);
        }
        if (on) {
            present("archive_mode");
        } else {
            set("archive_mode", facts_.in_recovery ? "always" : "on", true);
        }
    }

    void set_up_slot() {
        if (request_.slot.empty()) return;
        const std::string what = "slot " + request_.slot;
        if (!is_slot_name(request_.slot)) {
            throw Error(ErrorCode::usage,
                        fmt::format("'{}' cannot be the name of a replication slot", request_.slot),
                        "use lower-case letters, digits and underscores, at most 63 of them");
        }
        if (read_slot(connection_, request_.slot, stop_)) {
            present(what);
            return;
        }
        change(what, fmt::format("SELECT pg_create_physical_replication_slot('{}', true);", request_.slot));
    }

    // Who may connect stands in a file of the server's, which SQL cannot write.
    void look_at_access() {
        const std::string what = "access for replication";
        std::string rules;
        try {
            rules = connection_
                        .query_value("SELECT count(*) FROM pg_hba_file_rules WHERE error IS NULL AND "
                                     "auth_method <> 'reject' AND "
                                     "'replication' = ANY (database) AND (user_name && ARRAY['all', $1])",
                                     {request_.role}, stop_)
                        .value_or("0");
        } catch (const ServerError& error) {
            if (error.code() != ErrorCode::access_denied) throw;
            rules = "0";
        }
        if (rules != "0") {
            present(what);
            return;
        }
        report_.steps.push_back(
            {what, SetupState::by_hand, "",
             fmt::format("in pg_hba.conf{} add a line like \"host replication {} samenet scram-sha-256\" (or "
                         "\"local replication {} peer\"), and reload",
                         facts_.hba_file ? fmt::format(" ({})", *facts_.hba_file) : "", request_.role,
                         request_.role)});
    }

    const SetupRequest& request_;
    Logger& logger_;
    std::stop_token stop_;
    Connection connection_;
    ClusterFacts facts_;
    SetupReport report_;
    bool reload_ = false;
};

} // namespace

std::string_view to_string(SetupState state) {
    switch (state) {
    case SetupState::present:
        return "present";
    case SetupState::done:
        return "done";
    case SetupState::planned:
        return "planned";
    case SetupState::refused:
        return "refused";
    case SetupState::by_hand:
        return "by hand";
    }
    return "refused";
}

SetupReport set_up_server(const SetupRequest& request, Logger& logger, std::stop_token stop) {
    return Setup(request, logger, std::move(stop)).run();
}

} // namespace holdfast::postgres
