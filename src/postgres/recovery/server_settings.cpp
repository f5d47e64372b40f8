#include "postgres/recovery/server_settings.h"

#include "base/owned_file.h"

#include <algorithm>
#include <filesystem>

#include <fmt/format.h>

namespace holdfast::postgres {

namespace {

constexpr std::uint64_t least_memory_bytes = std::uint64_t{32} << 20;

void put_if_missing(const std::string& data_directory, std::string_view name, std::string_view content) {
    const std::string path = fmt::format("{}/{}", data_directory, name);
    if (std::filesystem::exists(path)) return;
    write_file_durably_for(file_owner(data_directory), path, as_bytes(content));
}

// The restored settings are those of the original's machine.
void add_limits(const StartSettings& settings, SettingValues& all) {
    const auto kib = [&](const char* name, std::uint64_t bytes, std::uint64_t least_bytes) {
        all.emplace_back(name, fmt::format("{}kB", std::max(bytes, least_bytes) >> 10));
    };
    if (const std::uint64_t memory = settings.memory_bytes; memory != 0) {
        kib("shared_buffers", memory / 4, 1u << 20);
        kib("effective_cache_size", memory / 2, 1u << 20);
        kib("work_mem", memory / 64, 64u << 10);
        kib("maintenance_work_mem", memory / 16, 1u << 20);
        kib("autovacuum_work_mem", memory / 32, 1u << 20);
        all.emplace_back("autovacuum_max_workers", "1");
        all.emplace_back("wal_buffers", "-1");
        all.emplace_back("huge_pages", "off");
    }
    if (settings.processors != 0) {
        all.emplace_back("max_parallel_workers", fmt::format("{}", settings.processors));
        all.emplace_back("max_parallel_workers_per_gather",
                         fmt::format("{}", std::min(settings.processors - 1, 2U)));
    }
}

} // namespace

void check_limits(const StartSettings& settings) {
    if (settings.memory_bytes != 0 && settings.memory_bytes < least_memory_bytes) {
        throw Error(ErrorCode::usage, fmt::format("no server runs in {} MiB", settings.memory_bytes >> 20),
                    fmt::format("give it {} MiB or more", least_memory_bytes >> 20));
    }
}

// Distributions keep these elsewhere; what they said there is not known. The connection of the owner alone is
// let in, through the socket.
void make_configuration(const std::string& data_directory) {
    put_if_missing(data_directory, "postgresql.conf",
                   "# Made by holdfast: the snapshot had no configuration.\n");
    put_if_missing(data_directory, "pg_hba.conf",
                   "# Made by holdfast: the snapshot had no configuration.\n"
                   "local all all peer\n");
    put_if_missing(data_directory, "pg_ident.conf", "");
}

SettingValues server_settings(const StartSettings& settings, const std::string& socket_directory,
                              const SettingValues& raised) {
    SettingValues all{
        {"config_file", settings.data_directory + "/postgresql.conf"},
        {"data_directory", settings.data_directory},
        {"hba_file", settings.data_directory + "/pg_hba.conf"},
        {"ident_file", settings.data_directory + "/pg_ident.conf"},
        {"external_pid_file", ""},
        {"port", fmt::format("{}", settings.port)},
        {"unix_socket_directories", fmt::format("\"{}\"", socket_directory)},
        {"listen_addresses", settings.listen_addresses},
        {"archive_mode", "off"},
        {"max_logical_replication_workers", "0"},
        {"synchronous_standby_names", ""},
        {"logging_collector", "off"},
        {"log_destination", "stderr"},
        {"log_min_messages", "warning"},
        {"lc_messages", "C"},
        // Without it a server does not refuse to recover with smaller limits than the original's.
        {"hot_standby", queries_while_recovering(settings) ? "on" : "off"},
    };
    if (settings.listen_addresses.empty()) all.emplace_back("ssl", "off");
    add_limits(settings, all);
    all.insert(all.end(), raised.begin(), raised.end());
    all.insert(all.end(), settings.settings.begin(), settings.settings.end());
    return all;
}

bool queries_while_recovering(const StartSettings& settings) {
    return settings.standby || settings.action == TargetAction::pause;
}

} // namespace holdfast::postgres
