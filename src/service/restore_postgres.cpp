#include "service/restore_postgres.h"

#include "base/error.h"
#include "postgres/recovery/server_program.h"

#include <fmt/format.h>

namespace holdfast {

namespace {

using postgres::RecoveryPlan;
using postgres::SnapshotCluster;

double seconds_since(Duration begin) {
    return std::chrono::duration<double>(system_clock().steady() - begin).count();
}

void require_content_key(const Repository& repository) {
    const Role role = repository.keys().role();
    if (role == Role::full || role == Role::read) return;
    throw Error(ErrorCode::access_denied, fmt::format("a key of role '{}' reads no content", to_string(role)),
                "restore with a key of role full or read");
}

// Empty when the key ring has none: then what is there is not compared, but written anew.
Secret domain_key_of(const Repository& repository, const Snapshot& snapshot) {
    try {
        return repository.keys().identity_key_of(snapshot.domain);
    } catch (const Error& error) {
        if (error.code() != ErrorCode::wrong_key) throw;
        return {};
    }
}

postgres::RecoverySettings recovery_of(const PostgresRestore& what, const RecoveryPlan& plan) {
    postgres::RecoverySettings recovery;
    recovery.target = plan.target;
    recovery.inclusive = plan.inclusive;
    recovery.timeline = plan.timeline;
    // A standby goes along when its primary changes timelines.
    if (what.standby) recovery.timeline.reset();
    recovery.action = what.action;
    recovery.standby = what.standby;
    recovery.primary_connection = what.primary_connection;
    recovery.restore_command = postgres::restore_command_of(what.fetch_command);
    return recovery;
}

postgres::StartSettings start_of(const PostgresRestore& what, const PostgresRestoreResult& result) {
    postgres::StartSettings start = *what.start;
    start.data_directory = what.target;
    start.version = result.version;
    start.action = what.action;
    start.standby = what.standby;
    start.log_begin = result.plan.log.begin;
    start.log_end = result.plan.log.end;
    start.must_reach = result.plan.must_reach;
    return start;
}

} // namespace

PostgresRestoreResult restore_postgres(Repository& repository, const PostgresRestore& what,
                                       Progress& progress, std::stop_token stop) {
    require_content_key(repository);
    if (what.fetch_command.empty())
        throw Error(ErrorCode::internal, "a restore without a command that fetches");
    progress.set_phase("planning");
    Duration begin = system_clock().steady();
    PostgresRestoreResult result;
    const postgres::RecoverySource source =
        postgres::load_recovery_source(repository, what.source, what.request.snapshot, {.stop = stop});
    result.plan = plan_recovery(source, what.request);
    result.notes = result.plan.notes;
    const Snapshot& snapshot = result.plan.snapshot;
    const SnapshotCluster cluster =
        postgres::read_snapshot_cluster(repository.nodes(), repository.packs(), snapshot);
    result.version = cluster.version;
    const std::vector<std::string> places = tablespace_places(cluster, what.tablespaces);
    for (std::size_t i = 0; i < places.size(); ++i)
        result.tablespaces.push_back({cluster.tablespaces[i].oid, places[i]});
    check_restore_target(cluster, what.target, places, what.in_place);
    // Found missing before gigabytes were written.
    if (what.start) postgres::find_server_program(result.version, what.start->bin_directory);
    result.plan_seconds = seconds_since(begin);
    if (what.dry_run) return result;

    progress.set_phase("restoring");
    progress.set_total(snapshot.totals.bytes, snapshot.totals.files);
    begin = system_clock().steady();
    const Secret domain_key = domain_key_of(repository, snapshot);
    const RestoreTools tools{repository.nodes(), repository.packs(), domain_key.view(), repository.logger(),
                             progress};
    postgres::RestoreClusterSettings settings;
    settings.target = what.target;
    settings.in_place = what.in_place;
    settings.tablespaces = what.tablespaces;
    settings.recovery = recovery_of(what, result.plan);
    settings.is_archived = [&](const postgres::WalRange& range) {
        const std::vector<PathStep> path =
            find_path(source.slices, {range.timeline, range.begin.value, range.end.value});
        return !path.empty() && path.back().end == range.end.value;
    };
    settings.manifest = what.manifest;
    settings.sync = what.sync;
    result.restored = restore_cluster(cluster, snapshot, settings, tools, stop);
    result.restore_seconds = seconds_since(begin);
    if (!result.restored->put_aside.empty()) {
        result.notes.push_back(
            fmt::format("{} segments of the log that the archive does not have are now in {}",
                        result.restored->put_aside.size(), result.restored->put_aside_directory));
    }
    if (!cluster.has_configuration) {
        result.notes.emplace_back(
            "the cluster's configuration was not in its data directory: restore or write it "
            "before the server is put to use");
    }
    if (what.start) result.started = start_cluster(start_of(what, result), progress, stop);
    return result;
}

} // namespace holdfast
