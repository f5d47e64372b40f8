#include "service/restore_postgres.h"

#include "base/error.h"
#include "base/task_group.h"
#include "documents/entry_name.h"
#include "postgres/recovery/access_file.h"
#include "postgres/recovery/prepared_transactions.h"
#include "postgres/recovery/server_program.h"
#include "repository/log/proven_path.h"
#include "service/space_watch.h"

#include <algorithm>
#include <filesystem>
#include <iterator>
#include <set>

#include <fmt/format.h>

namespace holdfast {

namespace {

namespace fs = std::filesystem;
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

// Whether the archive has more than the log that is to be followed, of another server or damaged, so that the
// server is told which slices it may have. A standby is to go on behind the plan's end, and is bound by it
// only where that is the log of one of several servers.
bool must_choose(const PostgresRestore& what, const RecoveryPlan& plan) {
    return !plan.forks.empty() || (!what.standby && !plan.aside.empty());
}

// The log ends where the plan does. What was looked at is what is replayed: log that is archived later may
// make a tablespace where the original has it. And a server that reads ahead (from 15 on) does not come to a
// gap behind its target, at which it would give up.
// The archive is named, since another cluster may take the source's place while the recovery goes on.
std::vector<std::string> fetch_command_of(const PostgresRestore& what, const RecoveryPlan& plan,
                                          const postgres::ReplayedTablespaces& replayed) {
    std::vector<std::string> words = what.fetch_command;
    words.insert(words.end(), {"--archive", plan.snapshot.log->archive.hex()});
    if (!what.standby || must_choose(what, plan)) words.insert(words.end(), {"--until", plan.log.end.str()});
    if (must_choose(what, plan))
        words.insert(words.end(), {"--slices", postgres::log_slices_path(what.target)});
    if (!replayed.replacements.empty())
        words.insert(words.end(), {"--replace", postgres::log_changes_path(what.target)});
    return words;
}

// What a recovery may fetch, where there are logs of several servers: what its plan has, and what is the
// same.
std::vector<LogSliceId> slices_to_fetch(const PostgresRestore& what, const postgres::RecoverySource& source,
                                        const RecoveryPlan& plan) {
    if (!must_choose(what, plan)) return {};
    std::set<LogRange> ranges;
    for (const PathStep& step : plan.log.steps) ranges.insert(step.slice.range);
    std::vector<LogSliceId> slices;
    std::ranges::copy_if(source.slices, std::back_inserter(slices),
                         [&](const LogSliceId& slice) { return ranges.contains(slice.range); });
    return slices;
}

postgres::RecoverySettings recovery_of(const PostgresRestore& what, const RecoveryPlan& plan,
                                       const postgres::ReplayedTablespaces& replayed) {
    postgres::RecoverySettings recovery;
    recovery.target = plan.target;
    recovery.inclusive = plan.inclusive;
    recovery.timeline = plan.timeline;
    // A standby goes along when its primary changes timelines.
    if (what.standby) recovery.timeline.reset();
    recovery.action = what.action;
    recovery.standby = what.standby;
    recovery.primary_connection = what.primary_connection;
    recovery.restore_command = postgres::restore_command_of(fetch_command_of(what, plan, replayed));
    if (what.start) recovery.restore_command = postgres::with_access_file(recovery.restore_command);
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

// Holes in files take none: so it is said, and tried.
void note_space(const std::string& target, PostgresRestoreResult& result) {
    const auto space = space_at(target);
    const std::uint64_t wanted = result.restore_bytes + result.plan.log_bytes;
    if (space && space->free_bytes < wanted)
        result.notes.push_back(fmt::format(
            "{} MiB are free where {} is to be, for files of {} MiB and {} MiB of "
            "log: make room, or choose another place",
            space->free_bytes >> 20, target, result.restore_bytes >> 20, result.plan.log_bytes >> 20));
}

// Passphrase and credentials that were given in the environment are there for the recovery alone. A server
// that has not ended it goes on to need them.
postgres::StartedCluster start_with_access(const postgres::StartSettings& settings, Progress& progress,
                                           const std::stop_token& stop) {
    const std::string access = postgres::access_file_text(postgres::process_variables());
    try {
        if (!access.empty()) postgres::write_access_file(settings.data_directory, access);
        postgres::StartedCluster started = start_cluster(settings, progress, stop);
        if (started.process == 0) postgres::remove_access_file(settings.data_directory);
        return started;
    } catch (...) {
        postgres::remove_access_file(settings.data_directory);
        throw;
    }
}

std::string quote_identifier(std::string_view name) {
    std::string quoted = "\"";
    for (const char c : name) quoted.append(c == '"' ? 2 : 1, c);
    return quoted + '"';
}

void add_notes(const postgres::ReplayedLog& log, const postgres::ReplayedTablespaces& made,
               const postgres::DatabaseChoice& databases, bool standby, PostgresRestoreResult& result) {
    for (const postgres::ReplayedTablespace& one : made.made) {
        result.tablespaces.push_back({one.oid, one.place});
        result.notes.push_back(
            fmt::format("the log makes tablespace {}: it will be in {}", one.oid, one.place));
    }
    result.notes.insert(result.notes.end(), databases.notes.begin(), databases.notes.end());
    for (const postgres::SnapshotDatabase& database : databases.left_out) {
        result.notes.push_back(fmt::format("database {} is left out: once the server takes writes, run DROP "
                                           "DATABASE {}",
                                           printable(database.name), quote_identifier(database.name)));
    }
    if (standby) {
        result.notes.emplace_back(
            "what its primary does later is done here too: a tablespace that it makes must "
            "have its place on this machine, and not on the same one as the primary");
    }
    for (const std::string& stretch : log.unread)
        result.notes.push_back(
            fmt::format("whether the log makes tablespaces is not known everywhere: {}", stretch));
}

} // namespace

PostgresRestoreResult restore_postgres(Repository& repository, const PostgresRestore& what,
                                       Progress& progress, std::stop_token stop) {
    require_content_key(repository);
    if (what.fetch_command.empty())
        throw Error(ErrorCode::internal, "a restore without a command that fetches");
    if (!what.databases.empty() && what.in_place) {
        throw Error(ErrorCode::usage, "databases cannot be chosen in place: the others would be lost there",
                    "restore to another directory, or leave out --database");
    }
    progress.set_phase("planning");
    Duration begin = system_clock().steady();
    PostgresRestoreResult result;
    postgres::RecoverySource source =
        postgres::load_recovery_source(repository, what.source, what.request.snapshot, {.stop = stop});
    result.plan = plan_recovery(source, what.request);
    source.drop(result.plan.aside);
    result.notes = result.plan.notes;
    const Snapshot& snapshot = result.plan.snapshot;
    const SnapshotCluster cluster =
        postgres::read_snapshot_cluster(repository.nodes(), repository.packs(), snapshot);
    result.version = cluster.version;
    const postgres::ReplayedLog replayed =
        look_at_replayed_log(source, result.plan, !what.databases.empty(), stop);
    std::vector<postgres::TablespacePlace> wanted = what.tablespaces;
    const auto wanted_of_replayed = take_places_of_replayed(cluster, replayed, wanted);
    const std::vector<std::string> places = tablespace_places(cluster, wanted);
    for (std::size_t i = 0; i < places.size(); ++i)
        result.tablespaces.push_back({cluster.tablespaces[i].oid, places[i]});
    check_restore_target(cluster, what.target, places, what.in_place, what.databases.empty());
    const postgres::ReplayedTablespaces made = place_replayed_tablespaces(
        cluster, replayed, what.target, places, wanted_of_replayed, source, what.in_place);
    const postgres::DatabaseChoice databases = choose_databases(cluster, what.databases, replayed);
    const postgres::HoleTotals holes =
        count_holes(repository.nodes(), hole_directories(repository.nodes(), cluster, databases));
    result.left_out = databases.left_out;
    result.restore_bytes = snapshot.totals.bytes - std::min(holes.bytes, snapshot.totals.bytes);
    const std::vector<std::string> later = prepared_later(source, result.plan, cluster);
    add_notes(replayed, made, databases, what.standby, result);
    if (what.in_place) {
        result.notes.push_back(fmt::format("what the snapshot does not have is deleted from {}, whoever has "
                                           "put it there: copy what you want to keep, such as the server's "
                                           "own messages",
                                           what.target));
    } else {
        note_space(what.target, result);
    }
    // Found missing before gigabytes were written.
    if (what.start) postgres::find_server_program(result.version, what.start->bin_directory);
    if (what.estimate)
        result.estimate =
            estimate_recovery(source, result.plan, result.restore_bytes, worker_count(), system_clock());
    result.plan_seconds = seconds_since(begin);
    result.planned_notes = result.notes.size();
    if (what.planned) what.planned(result);
    if (what.dry_run) return result;

    progress.set_phase("restoring");
    progress.set_total(result.restore_bytes,
                       snapshot.totals.files - std::min(holes.files, snapshot.totals.files));
    begin = system_clock().steady();
    const Secret domain_key = domain_key_of(repository, snapshot);
    const RestoreTools tools{repository.nodes(), repository.packs(), domain_key.view(), repository.logger(),
                             progress};
    postgres::RestoreClusterSettings settings;
    settings.target = what.target;
    settings.in_place = what.in_place;
    settings.tablespaces = wanted;
    settings.replayed = made;
    settings.left_out_states = later;
    settings.databases = databases;
    settings.log_slices = slices_to_fetch(what, source, result.plan);
    settings.recovery = recovery_of(what, result.plan, made);
    const LogReader reader(repository.context());
    ProvenPaths proven(reader);
    settings.is_archived = [&](const postgres::WalRange& range) {
        // What lies behind a fork may be the log of another server than the archive has of that name.
        const auto parted = [&](const postgres::LogFork& fork) {
            return fork.timeline == range.timeline && fork.at < range.end;
        };
        if (std::ranges::any_of(result.plan.forks, parted)) return false;
        const std::vector<PathStep> path =
            proven.find(source.slices, {range.timeline, range.begin.value, range.end.value}, {.stop = stop});
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
    if (what.start) {
        result.started = start_with_access(start_of(what, result), progress, stop);
        if (fs::exists(what.target + "/" + std::string(postgres::access_file_name)))
            result.notes.push_back(fmt::format(
                "{} in its data directory has what the server needs to get at the repository: it is "
                "removed by nobody, and may be when the server needs no more log",
                postgres::access_file_name));
    }
    return result;
}

} // namespace holdfast
