#include "service/alert_log_causes.h"

#include "postgres/archive/wal_push.h"
#include "repository/protocol/snapshot_list.h"
#include "service/back_up_postgres.h"
#include "service/measure.h"
#include "service/sandbox_cluster.h"

#include <algorithm>
#include <filesystem>

namespace holdfast {

namespace {

using std::chrono::hours;

void back_up_cluster(AlertStage& stage) {
    PostgresBackup what;
    what.run.source = AlertStage::source;
    what.run.host = "sandbox";
    what.connection = stage.cluster().connection();
    what.data_directory = stage.cluster().data_directory();
    what.spool_directory = stage.directory / "spool";
    Progress progress;
    back_up_postgres(stage.repository(), what, progress, stage.stop());
}

void archive(AlertStage& stage, const std::string& segment) {
    postgres::push_wal(stage.repository(), segment,
                       {.source = AlertStage::source, .spool_directory = stage.directory / "spool"},
                       stage.stop());
}

// What the server measures of a log, measured in the sandbox.
void measure_log(AlertStage& stage, Facts& facts) {
    const MeasuredSource what{.name = AlertStage::source, .kind = "postgresql"};
    const ProtectionStatus status = measure(stage.repository(), {}, {.sources = {what}}, stage.stop());
    const auto measured = std::ranges::find(status.sources, std::string(AlertStage::source),
                                            [](const SourceMeasurement& one) { return one.facts.source; });
    SourceFacts& source = facts.sources.front();
    source.kind = what.kind;
    source.gaps = measured->facts.gaps;
    source.window_start = measured->facts.window_start;
    source.window_end = measured->facts.window_end;
    source.log_known = measured->facts.log_known;
    source.objectives.window = Period{0, 24 * 3600};
}

} // namespace

void protect_cluster(AlertStage& stage) {
    stage.start_cluster();
    back_up_cluster(stage);
    archive(stage, stage.cluster().write_a_segment());
    stage.add_facts = [&stage](Facts& facts) { measure_log(stage, facts); };
}

void lose_a_segment(AlertStage& stage) {
    std::filesystem::remove(stage.cluster().write_a_segment());
    archive(stage, stage.cluster().write_a_segment());
}

void protect_cluster_for_long(AlertStage& stage) {
    protect_cluster(stage);
    stage.clock.advance(hours(30));
}

void forget_the_oldest(AlertStage& stage) {
    const SnapshotList before = list_snapshots(stage.repository().context());
    back_up_cluster(stage);
    std::set<RunId> oldest;
    for (const Snapshot& snapshot : before.snapshots) oldest.insert(snapshot.id);
    forget_snapshots(stage.repository().context(), oldest, false);
}

} // namespace holdfast
