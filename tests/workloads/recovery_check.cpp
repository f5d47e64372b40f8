// A recovery to one of the moments, and a close look at what came back.
#include "postgres/files/relation_path.h"
#include "workloads/life.h"

#include <filesystem>

#include <fmt/format.h>

namespace holdfast::workloads {

using namespace postgres;
using test::PostgresServer;

namespace fs = std::filesystem;

namespace {

// A server that is killed while it makes a file longer leaves a part of a block behind, which servers pass
// over ever after, and pg_checksums does not.
void cut_to_whole_blocks(const std::string& data_directory) {
    for (const auto& file : fs::recursive_directory_iterator(data_directory + "/base"))
        if (file.is_regular_file() && parse_relation_file_name(file.path().filename().string()))
            fs::resize_file(file.path(), file.file_size() / 8192 * 8192);
}

} // namespace

void Life::recover() {
    if (moments_.empty()) return;
    // A time can be recovered to when a commit behind it is archived. A transaction that has a number and
    // wrote to the log waits for the disk with its commit; with one of both it would not.
    server_->execute(
        "SET synchronous_commit = on; SELECT txid_current(), pg_create_restore_point('the end')");
    archive(*server_);
    const Moment& moment = moments_[random_.below(moments_.size())];
    const PostgresRestore what = choose_restore(moment);
    narrate("  recovery to moment {}, as {}{}{}", moment.restore_point, describe(what.request.target),
            what.in_place ? ", in place" : "", moment.abandoned ? ", on a timeline that was left" : "");
    const PostgresRestoreResult result = source_.restore(what);
    narrate("  from snapshot {}", result.plan.snapshot.id.hex().substr(0, 8));
    if (result.restored->files.failed > 0) throw Wrong("files could not be restored");
    ++counts_.recoveries;
    if (what.in_place) ++counts_.in_place;
    if (test::has_all_programs(settings_.version)) {
        const test::ProgramRun verified = server_->run_tool("pg_verifybackup", {"-n", what.target});
        if (verified.exit_code != 0) throw Wrong("pg_verifybackup: " + verified.error + verified.out);
    }
    look_into(what, moment);
    // The next one may go there again.
    restored_ = what.target;
    restored_places_ = what.tablespaces;
}

PostgresRestore Life::choose_restore(const Moment& moment) {
    RecoveryTarget target;
    switch (random_.below(moment.abandoned ? 2 : 3)) {
    case 0:
        target = RecoverToLsn{moment.position};
        break;
    case 1:
        target = RecoverToName{moment.restore_point};
        break;
    default:
        target = RecoverToTime{moment.time};
    }
    const bool again = !restored_.empty() && chance(40);
    PostgresRestore what = source_.restore_to(target);
    if (again) {
        what.in_place = true;
        what.target = restored_;
        what.tablespaces = restored_places_;
    } else {
        if (!restored_.empty()) fs::remove_all(restored_);
        for (const TablespacePlace& place : restored_places_) fs::remove_all(place.path);
        for (const char* name : {"ts0", "ts1"})
            what.tablespaces.push_back({name, source_.new_place("space")});
    }
    if (moment.abandoned) what.request.timeline = moment.timeline;
    return what;
}

void Life::look_into(const PostgresRestore& what, const Moment& moment) {
    const std::unique_ptr<PostgresServer> server = PostgresServer::over(
        what.target, {.version = settings_.version, .checksums = checksums_, .settings = {}});
    server->start();
    server->wait_until_writable();
    const std::string differs = test::row_difference(moment.rows, cluster_rows(*server));
    if (!differs.empty())
        throw Wrong(
            fmt::format("other rows than at moment {}:\n{}{}", moment.restore_point, differs, server->log()));
    if (const std::string found = unlogged_rows(*server); !found.empty()) throw Wrong(found);
    test::roll_back_prepared(*server); // were in the way of what looks at the visibility maps
    if (const std::string found = wrong_visibility(*server); !found.empty()) throw Wrong(found);
    if (test::has_all_programs(settings_.version) && chance(50)) {
        const test::ProgramRun checked = server->run_tool("pg_amcheck", {"--all", "--heapallindexed"});
        if (checked.exit_code != 0) throw Wrong("pg_amcheck: " + checked.out + checked.error);
    }
    // It can be worked with.
    server->execute("CREATE TABLE public.after_recovery AS SELECT generate_series(1, 100) AS i; CHECKPOINT");
    server->stop();
    if (!test::has_all_programs(settings_.version)) return;
    const test::ProgramRun control = server->run_tool("pg_controldata", {"-D", what.target});
    if (control.out.find("Data page checksum version:           1") == std::string::npos) return;
    cut_to_whole_blocks(what.target);
    const test::ProgramRun checked = server->run_tool("pg_checksums", {"--check", "-D", what.target});
    if (checked.exit_code != 0) throw Wrong("pg_checksums: " + checked.error + checked.out);
}

} // namespace holdfast::workloads
