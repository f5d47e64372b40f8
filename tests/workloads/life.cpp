#include "workloads/life.h"

#include "postgres/archive/wal_archive.h"
#include "postgres/wal/timeline_history.h"
#include "support/wal_directory.h"
#include "workloads/burst.h"

#include <algorithm>
#include <filesystem>
#include <thread>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace holdfast::workloads {

using namespace postgres;
using test::AtRest;
using test::PostgresServer;
using test::PostgresStop;

namespace {

bool is_sequence(const PostgresServer& server, const RelationFork& relation) {
    const std::string database = server.query_value(
        fmt::format("SELECT datname FROM pg_database WHERE oid = {} AND datallowconn", relation.database));
    if (database.empty()) return false;
    const std::string kind = server.query_value(
        fmt::format("SELECT relkind FROM pg_class WHERE pg_relation_filenode(oid) = {}", relation.number),
        database);
    return kind == "S";
}

} // namespace

void LifeCounts::add(const LifeCounts& other) {
    const auto sum = [&](auto... member) { ((this->*member += other.*member), ...); };
    sum(&LifeCounts::workloads, &LifeCounts::statements, &LifeCounts::refused, &LifeCounts::snapshots,
        &LifeCounts::incremental, &LifeCounts::of_standbys, &LifeCounts::under_load, &LifeCounts::interrupted,
        &LifeCounts::pages, &LifeCounts::hinted, &LifeCounts::newer, &LifeCounts::crashes,
        &LifeCounts::servers_lost, &LifeCounts::promotions, &LifeCounts::rewinds, &LifeCounts::recoveries,
        &LifeCounts::in_place);
    for (const auto& [why, count] : other.full_because) full_because[why] += count;
}

std::string LifeCounts::str() const {
    std::string text = fmt::format(
        "{} workloads: {} statements ({} refused), {} snapshots ({} incremental, {} of standbys, "
        "{} under load, {} "
        "interrupted), {} pages compared ({} differed by hints, {} were newer), {} crashes, {} "
        "promotions, {} "
        "rewinds, {} recoveries ({} in place), {} servers lost by PostgreSQL",
        workloads, statements, refused, snapshots, incremental, of_standbys, under_load, interrupted, pages,
        hinted, newer, crashes, promotions, rewinds, recoveries, in_place, servers_lost);
    for (const auto& [why, count] : full_because)
        text += fmt::format("\n  read whole {} times: {}", count, why);
    return text;
}

Life::Life(const LifeSettings& settings) : settings_(settings), random_(settings.seed) {}

Lsn Life::position(const PostgresServer& server) {
    return *parse_lsn(server.query_value("SELECT pg_current_wal_flush_lsn()"));
}

TimelineId Life::timeline(const PostgresServer& server) {
    const std::string name = server.query_value("SELECT pg_walfile_name(pg_current_wal_lsn())");
    return static_cast<TimelineId>(std::stoul(name.substr(0, 8), nullptr, 16));
}

void Life::run() {
    begin();
    for (unsigned i = 0; i < settings_.workloads; ++i) {
        narrate("workload {}", i + 1);
        workload();
        ++counts_.workloads;
    }
}

std::string Life::last_words() const {
    if (!server_ || server_->running()) return {};
    const std::string log = server_->log();
    constexpr std::size_t most = 3000;
    return "the server does not run; the end of its log:\n" +
           log.substr(log.size() - std::min(log.size(), most));
}

void Life::begin() {
    checksums_ = chance(60);
    hints_are_logged_ = chance(60);
    autovacuum_ = chance(50);
    const unsigned segment_mib = chance(30) ? 1 : 16;
    segment_bytes_ = std::uint64_t{segment_mib} << 20;
    const auto on = [](bool value) { return value ? "on" : "off"; };
    std::string settings = fmt::format(
        "shared_buffers = {}kB\nautovacuum = {}\nautovacuum_naptime = 1s\nautovacuum_vacuum_cost_delay = 0\n"
        "autovacuum_vacuum_threshold = 20\nautovacuum_vacuum_insert_threshold = "
        "50\nmax_prepared_transactions = 10\n"
        "track_commit_timestamp = {}\nwal_log_hints = {}\nwal_compression = {}\nsynchronous_commit = {}\n"
        "wal_keep_size = 2GB\nmax_wal_size = {}MB\nwal_recycle = {}\nvacuum_freeze_min_age = {}\n"
        "wal_level = {}\nbgwriter_delay = {}ms\nfsync = off\nlog_min_messages = error\n",
        384 << random_.below(4), on(autovacuum_), on(chance(30)), on(hints_are_logged_), on(chance(30)),
        on(chance(50)), segment_mib == 1 ? 16 : 64 << random_.below(3), on(chance(70)),
        chance(50) ? 0 : 50'000'000, chance(30) ? "logical" : "replica", chance(50) ? 10 : 200);
    narrate("a cluster of version {}, checksums {}, segments of {} MiB\n{}", settings_.version,
            on(checksums_), segment_mib, settings);
    server_ = std::make_unique<PostgresServer>(test::PostgresOptions{.version = settings_.version,
                                                                     .checksums = checksums_,
                                                                     .wal_segment_mib = segment_mib,
                                                                     .settings = std::move(settings)});
    if (test::has_all_programs(settings_.version)) {
        for (const char* database : {"template1", "postgres"})
            server_->execute("CREATE EXTENSION pg_visibility; CREATE EXTENSION amcheck", database);
    }
    for (const char* name : {"ts0", "ts1"})
        server_->execute(
            fmt::format("CREATE TABLESPACE {} LOCATION '{}'", name, server_->make_directory(name)));
    auto session = server_->connect();
    session.execute("SET search_path = public");
    for (const std::string& sql : first_statements()) session.execute(sql);
}

// Some steps, each with work and what may come with it, and a recovery to one of the moments behind a
// snapshot.
void Life::workload() {
    const std::uint64_t steps = 2 + random_.below(3);
    for (std::uint64_t step = 0; step < steps; ++step) {
        const std::uint64_t what = random_.below(100);
        if (what < 50) {
            work(static_cast<unsigned>(4 + random_.below(20)));
        } else if (what < 68) {
            work_and_back_up();
        } else if (what < 82) {
            work_and_crash();
        } else if (what < 89) {
            switch_over();
        } else if (what < 93) {
            toggle_checksums();
        } else if (what < 96) {
            log_too_little();
        } else {
            restart();
        }
        if (chance(65)) remember();
        if (chance(65)) back_up_at_rest();
        if (chance(20)) archive(*server_);
    }
    if (!has_snapshot_) back_up_at_rest();
    remember();
    recover();
}

void Life::finish(Burst& burst) {
    burst.finish();
    counts_.statements += burst.done();
    counts_.refused += burst.refused();
    if (!burst.failures().empty()) throw Wrong("a session heard of trouble:\n" + burst.failures());
}

void Life::work(unsigned statements) {
    narrate("  work");
    Burst burst(*server_, {.statements = statements, .seed = random_.u64(), .narrate = settings_.narrate});
    finish(burst);
}

void Life::work_and_crash() {
    const bool kill = chance(70);
    const bool back_up_too = chance(30);
    const auto delay = std::chrono::milliseconds(random_.below(600));
    narrate("  work, and a crash after {} ms{}", delay.count(),
            back_up_too ? ", in the middle of a backup" : "");
    Burst burst(*server_, {.statements = 60, .seed = random_.u64(), .narrate = settings_.narrate});
    std::jthread backup;
    std::string told;
    if (back_up_too)
        backup = std::jthread([&] {
            try {
                source_.back_up(*server_);
                has_snapshot_ = true;
            } catch (const Error& error) {
                told = error.message();
            }
        });
    std::this_thread::sleep_for(delay);
    server_->stop(kill ? PostgresStop::kill : PostgresStop::immediate);
    if (backup.joinable()) backup.join();
    if (!told.empty()) {
        ++counts_.interrupted;
        narrate("  the backup: {}", told);
    }
    finish(burst);
    recover_from_crash();
    ++counts_.crashes;
}

// What is left of an unlogged table whose files were made again behind the last checkpoint can be in the way
// of its reset, which ends the recovery; so again each time.
void Life::recover_from_crash() {
    try {
        server_->start();
    } catch (const std::exception& error) {
        throw_if_lost(error.what());
        throw;
    }
}

void Life::throw_if_lost(std::string_view told) {
    const std::size_t fatal = told.rfind("FATAL:  could not create file \"base/");
    if (fatal == std::string_view::npos || told.find("File exists", fatal) == std::string_view::npos) return;
    ++counts_.servers_lost;
    throw ServerLost(std::string(told.substr(fatal, told.find('\n', fatal) - fatal)));
}

void Life::work_and_back_up() {
    narrate("  work, and a backup at the same time");
    Burst burst(*server_, {.statements = 25, .seed = random_.u64(), .narrate = settings_.narrate});
    std::this_thread::sleep_for(std::chrono::milliseconds(random_.below(200)));
    const PostgresBackupResult result = source_.back_up(*server_);
    finish(burst);
    ++counts_.under_load;
    judge(*server_, result, AtRest::no);
}

void Life::restart() {
    const PostgresStop how = chance(50) ? PostgresStop::fast : PostgresStop::kill;
    narrate("  restart");
    server_->restart(how);
}

// By the tool that writes to all pages of a stopped cluster, and not to its log.
void Life::toggle_checksums() {
    if (!test::has_all_programs(settings_.version)) return;
    narrate("  checksums {}", checksums_ ? "off" : "on");
    server_->stop();
    const test::ProgramRun run =
        server_->run_tool("pg_checksums", {checksums_ ? "--disable" : "--enable", "--no-sync", "-D",
                                           server_->data_directory()});
    if (run.exit_code != 0) throw Wrong("pg_checksums: " + run.error);
    checksums_ = !checksums_;
    server_->start();
}

// An interval of wal_level = minimal, in which the log does not tell all. What was recorded before can still
// be reached, and nothing behind it from there.
void Life::log_too_little() {
    narrate("  an interval of wal_level = minimal");
    archive(*server_);
    server_->add_settings("wal_level = minimal\nmax_wal_senders = 0\n");
    server_->restart();
    has_snapshot_ = false;
    work(12);
    server_->add_settings("wal_level = replica\nmax_wal_senders = 10\n");
    server_->restart();
    if (chance(50)) work(5);
}

// Records what all tables hold, with nothing under way. Recovery to a time needs moments that are apart.
void Life::remember() {
    if (!has_snapshot_) return;
    const auto apart = std::chrono::milliseconds(3);
    std::this_thread::sleep_for(apart);
    Moment moment;
    moment.restore_point = fmt::format("p{}", ++restore_points_);
    moment.time = system_clock().now();
    moment.position = *parse_lsn(
        server_->query_value(fmt::format("SELECT pg_create_restore_point('{}')", moment.restore_point)));
    moment.timeline = timeline(*server_);
    // Else a crash may lose it, and with it a moment that is to be reached on a timeline that was left.
    server_->execute(
        "SET synchronous_commit = on; SELECT pg_logical_emit_message(true, 'moment', 'is durable')");
    std::this_thread::sleep_for(apart);
    moment.rows = cluster_rows(*server_);
    narrate("  moment {} at {} on timeline {}", moment.restore_point, moment.position.str(), moment.timeline);
    moments_.push_back(std::move(moment));
}

void Life::back_up_at_rest() {
    // Half of the time to its true length: what autovacuum does at the same time is work too.
    back_up(*server_, autovacuum_ ? AtRest::no : AtRest::yes);
    if (chance(15)) {
        const std::string found = wrong_visibility(*server_);
        if (!found.empty()) throw Wrong("the server itself has wrong visibility:\n" + found);
    }
}

PostgresBackupResult Life::back_up(const PostgresServer& server, AtRest at_rest) {
    PostgresBackup what = source_.backup_of(server);
    what.compare = chance(20);
    if (chance(5)) what.type = PostgresBackupType::full;
    PostgresBackupResult result = source_.back_up(what);
    judge(server, result, at_rest);
    return result;
}

// The snapshot against a full read of the files, and against what it says of itself.
void Life::judge(const PostgresServer& server, const PostgresBackupResult& result, AtRest at_rest) {
    const Snapshot& snapshot = result.report.snapshot;
    ++counts_.snapshots;
    if (result.incremental) ++counts_.incremental;
    if (!result.full_because.empty()) ++counts_.full_because[result.full_because];
    narrate("  snapshot {} from {} to {} on timeline {}, {}", snapshot.id.hex().substr(0, 8),
            result.log.begin.str(), result.log.end.str(), result.log.timeline,
            result.incremental ? "incremental" : "whole: " + result.full_because);
    const ClusterCapture& capture = result.capture;
    if (snapshot.state != SnapshotState::complete)
        throw Wrong(fmt::format(
            "the snapshot is not complete: {} failed, {} bad pages; {}", capture.totals.failed,
            capture.pages.bad_pages,
            !capture.pages.bad.empty()  ? capture.pages.bad[0].path + ": " + capture.pages.bad[0].why
            : !capture.problems.empty() ? capture.problems[0].path + ": " + capture.problems[0].what
                                        : ""));
    if (!result.alarms.empty()) throw Wrong(fmt::format("alarms: {}", fmt::join(result.alarms, "; ")));
    const test::SnapshotFiles files = compare_with_files(source_.repository(), snapshot,
                                                         server.data_directory(), result.log.begin, at_rest);
    counts_.pages += files.pages;
    counts_.hinted += files.hinted;
    counts_.newer += files.newer;
    if (!files.differences.empty())
        throw Wrong("the snapshot is not what a full read finds:\n" + files.differences);
    std::string unnamed;
    for (const UnnamedChange& change : capture.unnamed) {
        const RelationFork& relation = change.segment.relation;
        if (is_sequence(server, relation)) continue; // nextval() changes them without a record
        unnamed +=
            fmt::format("{}/{}/{} {} segment {} block {}\n", relation.tablespace, relation.database,
                        relation.number, to_string(relation.fork), change.segment.segment, change.block);
    }
    if (!unnamed.empty()) throw Wrong("--compare found changes that the log does not name:\n" + unnamed);
    has_snapshot_ = true;
    if (archived_.empty()) archived_[result.log.timeline] = result.log.begin;
}

// What the archive does not have yet, up to now: of the timelines on the way here too.
void Life::archive(const PostgresServer& server) {
    const TimelineId now = timeline(server);
    if (now > 1) {
        const std::string path = server.data_directory() + "/pg_wal/" + history_name(now);
        push_wal(source_.repository(), path, source_.push_settings(), {});
        const TimelineHistory history = TimelineHistory::parse(now, as_text(test::read_whole_file(path)));
        Lsn begin;
        for (const TimelineHistory::Ancestor& ancestor : history.ancestors()) {
            if (begin && !archived_.empty()) archived_.try_emplace(ancestor.timeline, begin);
            archive(server, ancestor.timeline, ancestor.end);
            begin = ancestor.end;
        }
        if (!archived_.empty()) archived_.try_emplace(now, begin);
    }
    archive(server, now, position(server));
}

void Life::archive(const PostgresServer& server, TimelineId timeline, Lsn end) {
    const auto done = archived_.find(timeline);
    if (done == archived_.end() || done->second >= end) return; // nothing needs it
    narrate("  the log is archived up to {} on timeline {}", end.str(), timeline);
    const PushReport report =
        push_wal_range(source_.repository(), server.data_directory() + "/pg_wal",
                       {timeline, done->second, end}, segment_bytes_, source_.push_settings(), {});
    if (!report.alarms.empty()) throw Wrong(fmt::format("alarms: {}", fmt::join(report.alarms, "; ")));
    const WalArchive all = open_wal_archive(source_.repository(), source_.name());
    const Lsn reached = all.read({timeline, done->second, end}, [](ByteView) {});
    if (reached != end)
        throw Wrong(fmt::format("of the log from {} to {} of timeline {} only what is before {} was stored",
                                done->second.str(), end.str(), timeline, reached.str()));
    done->second = end;
}

} // namespace holdfast::workloads
