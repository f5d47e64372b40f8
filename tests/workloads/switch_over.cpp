// A standby takes over; the old primary is left, or rewound and takes over again.
#include "postgres/wal/timeline_history.h"
#include "support/wal_directory.h"
#include "workloads/burst.h"
#include "workloads/life.h"

#include <fstream>

#include <fmt/format.h>

namespace holdfast::workloads {

using namespace postgres;
using test::AtRest;
using test::PostgresServer;
using test::PostgresStop;

namespace {

TimelineHistory history_of(const PostgresServer& server, TimelineId timeline) {
    const Bytes text = test::read_whole_file(server.data_directory() + "/pg_wal/" + history_name(timeline));
    return TimelineHistory::parse(timeline, as_text(text));
}

} // namespace

std::unique_ptr<PostgresServer> Life::make_standby() {
    std::vector<std::string> mapping;
    for (const QueryResult::Row& row :
         server_->query("SELECT pg_tablespace_location(oid) FROM pg_tablespace WHERE spcname LIKE 'ts%'")
             .rows)
        mapping.push_back(fmt::format("--tablespace-mapping={}={}", *row[0], source_.new_place("space")));
    return PostgresServer::standby_of(*server_, {}, {}, mapping);
}

void Life::switch_over() {
    enum class Way { clean, crash, split };
    const Way way = static_cast<Way>(random_.below(3));
    narrate("  a standby, which takes over: {}", way == Way::clean   ? "the primary is stopped"
                                                 : way == Way::crash ? "the primary crashes"
                                                                     : "both go on");
    const TimelineId old_timeline = timeline(*server_);
    std::unique_ptr<PostgresServer> standby = make_standby();
    work(static_cast<unsigned>(5 + random_.below(10)));
    if (chance(50)) {
        // As far as the last checkpoint, so that the backup does not begin before the last one did.
        server_->execute("CHECKPOINT");
        standby->catch_up_with(*server_);
        standby->execute("CHECKPOINT");
        narrate("  a backup of the standby");
        back_up(*standby, AtRest::no);
        ++counts_.of_standbys;
    }
    work(5);
    archive(*server_);
    if (way == Way::clean) server_->stop();
    if (way == Way::crash) server_->stop(PostgresStop::kill);
    standby->promote();
    ++counts_.promotions;
    if (way == Way::split) {
        // What is written there from now on is nobody's.
        work(6);
        if (chance(50)) {
            remember();
            archive(*server_);
        }
        server_->stop(chance(50) ? PostgresStop::kill : PostgresStop::fast);
    }
    std::unique_ptr<PostgresServer> old = std::exchange(server_, std::move(standby));
    const TimelineId now = timeline(*server_);
    const Lsn fork = history_of(*server_, now).ancestors().back().end;
    narrate("  timeline {} left timeline {} at {}", now, old_timeline, fork.str());
    for (Moment& moment : moments_)
        if (moment.timeline == old_timeline && moment.position > fork) moment.abandoned = true;
    work(static_cast<unsigned>(3 + random_.below(8)));
    if (chance(50)) remember();
    const bool can_rewind = (checksums_ || hints_are_logged_) && test::has_all_programs(settings_.version);
    if (can_rewind && chance(60)) rewind(*old, *server_);
    if (old->running()) {
        narrate("  and back again");
        old->catch_up_with(*server_);
        archive(*server_);
        server_->stop();
        old->promote();
        ++counts_.promotions;
        server_ = std::move(old);
        rebuild_spgist_indexes();
    }
}

// Makes the old primary a standby of the one that took over.
void Life::rewind(PostgresServer& old, PostgresServer& now) {
    narrate("  the old primary is rewound");
    // What pg_rewind copies of them is in the way of their records in the log: servers from 17 on forget them
    // and bring them back at some later start (see docs/postgresql.md).
    if (now.version() >= 17) test::roll_back_prepared(now);
    now.execute("CHECKPOINT"); // its control file tells of the new timeline
    const test::ProgramRun run =
        old.run_tool("pg_rewind", {"--target-pgdata=" + old.data_directory(),
                                   "--source-server=" + now.conninfo(), "--no-sync"});
    throw_if_lost(run.error);
    if (run.exit_code != 0) throw Wrong("pg_rewind: " + run.error);
    ++counts_.rewinds;
    std::ofstream(old.data_directory() + "/standby.signal").flush();
    PostgresServer::give(old.data_directory());
    old.add_settings(fmt::format("primary_conninfo = '{}'\n", now.conninfo()));
    old.start();
}

// The first page of an SP-GiST index names the pages that were written to last, and is changed without a
// record. pg_rewind therefore leaves what the old primary wrote there, cuts off the pages that it names, and
// the next row finds that the server "could not read block". That is PostgreSQL's own, and would hide what is
// ours.
void Life::rebuild_spgist_indexes() {
    test::roll_back_prepared(*server_); // they hold locks
    for (const std::string& database : test::databases_of(*server_)) {
        const QueryResult indexes = server_->query("SELECT i.oid::regclass FROM pg_class i JOIN pg_am a ON "
                                                   "a.oid = i.relam WHERE a.amname = 'spgist' "
                                                   "AND i.relkind = 'i'",
                                                   database);
        for (const QueryResult::Row& row : indexes.rows)
            server_->execute(fmt::format("REINDEX INDEX {}", *row[0]), database);
    }
}

} // namespace holdfast::workloads
