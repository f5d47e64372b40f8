#include "service/protect_restored.h"

#include "base/error.h"
#include "postgres/server/conninfo.h"

#include <algorithm>

#include <fmt/format.h>

namespace holdfast {

void require_new_source(const Repository& repository, const std::string& source) {
    const SnapshotList list = list_snapshots(repository.context());
    const bool taken = std::ranges::any_of(
        list.snapshots, [&](const Snapshot& snapshot) { return snapshot.source == source; });
    if (!taken) return;
    throw Error(ErrorCode::already_exists,
                fmt::format("the repository has snapshots of a source '{}' already", source),
                "choose another name: a recovered cluster goes its own way, and its log is its own");
}

postgres::SetupReport set_up_restored(const ProtectRestored& what, Logger& logger, std::stop_token stop) {
    postgres::SetupRequest request;
    request.connection.conninfo = what.administrator;
    request.role = what.role;
    request.slot = what.slot;
    request.limits_slots = true;
    return postgres::set_up_server(request, logger, std::move(stop));
}

PostgresBackupResult back_up_restored(Repository& repository, const ProtectRestored& what, Progress& progress,
                                      std::stop_token stop) {
    PostgresBackup backup;
    backup.run.source = what.source;
    backup.connection = what.connection;
    backup.data_directory = what.data_directory;
    backup.spool_directory = what.spool_directory;
    return back_up_postgres(repository, backup, progress, std::move(stop));
}

std::vector<postgres::Check> check_restored(const ProtectRestored& what, Logger& logger,
                                            std::stop_token stop) {
    postgres::DoctorRequest request;
    request.connection.conninfo = what.connection;
    request.data_directory = what.data_directory;
    request.slot = what.slot;
    return postgres::examine_server(request, system_clock(), logger, std::move(stop));
}

std::string connection_to_restored(const std::string& connection, const postgres::StartedCluster& started,
                                   const std::string& user) {
    std::map<std::string, std::string> values = postgres::parse_conninfo(connection);
    for (const char* place : {"host", "hostaddr", "port", "service"}) values.erase(place);
    for (const auto& [keyword, value] : postgres::parse_conninfo(started.connection))
        if (keyword != "dbname" || !values.contains(keyword)) values[keyword] = value;
    if (!user.empty()) values["user"] = user;
    return postgres::to_conninfo(values);
}

} // namespace holdfast
