#include "service/alert_log_causes.h"

#include "postgres/archive/wal_push.h"
#include "postgres/receive/receive_wal.h"
#include "repository/protocol/snapshot_list.h"
#include "service/back_up_postgres.h"
#include "service/measure.h"
#include "service/sandbox_cluster.h"

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <mutex>
#include <optional>
#include <thread>

namespace holdfast {

namespace {

using std::chrono::hours;

constexpr Duration patience = std::chrono::minutes(2); // with a receiver that begins

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

// Where a receiver reports. It lives by the clock of the machine, which that of the sandbox is ahead of.
struct Reports {
    std::string file{}; // empty: there is no receiver
    Duration ahead{};
};

// What the server measures of a log, measured in the sandbox.
void measure_log(AlertStage& stage, Facts& facts, const Reports& reports = {}) {
    const MeasuredSource what{.name = AlertStage::source,
                              .kind = "postgresql",
                              .connection = stage.cluster().connection(),
                              .receive_state = reports.file};
    const ProtectionStatus status = measure(stage.repository(), {}, {.sources = {what}}, stage.stop());
    const auto measured = std::ranges::find(status.sources, std::string(AlertStage::source),
                                            [](const SourceMeasurement& one) { return one.facts.source; });
    SourceFacts& source = facts.sources.front();
    source.kind = what.kind;
    source.gaps = measured->facts.gaps;
    source.window_start = measured->facts.window_start;
    source.window_end = measured->facts.window_end;
    source.log_known = measured->facts.log_known;
    source.exposure_seconds = measured->facts.exposure_seconds;
    source.receiver = measured->facts.receiver;
    if (source.receiver && source.receiver->last_seen) *source.receiver->last_seen += reports.ahead;
}

void measure_log_of_a_day(AlertStage& stage, Facts& facts) {
    measure_log(stage, facts);
    facts.sources.front().objectives.window = Period{0, 24 * 3600};
}

// A receiver of the cluster's log, for as long as it lives.
class Receiver {
  public:
    explicit Receiver(AlertStage& stage)
        : stage_(stage),
          spool_(stage.directory / "received"),
          thread_([this](const std::stop_token& stop) { receive(stop); }) {}

    std::string state_file() const { return postgres::receive_state_path(spool_); }
    // Waits until it says that it is there. Throws what it ended with.
    void require_sign_of_life() {
        const Timestamp now = system_clock().now();
        const Duration begun = system_clock().steady();
        while (true) {
            if (ended_) {
                const std::scoped_lock lock(mutex_);
                throw error_.value_or(Error(ErrorCode::internal, "the receiver of the sandbox ended"));
            }
            const auto state = postgres::read_receive_state(state_file());
            if (state && state->time >= now && state->phase == "streaming") return;
            if (system_clock().steady() - begun > patience)
                throw Error(ErrorCode::timed_out, "the receiver of the sandbox receives nothing");
            if (!system_clock().sleep_for(std::chrono::milliseconds(50), stage_.stop()))
                throw Error(ErrorCode::cancelled, "stopped while a receiver was started");
        }
    }

  private:
    void receive(const std::stop_token& stop) {
        try {
            postgres::ReceiveSettings settings;
            settings.source = AlertStage::source;
            settings.server.conninfo = stage_.cluster().connection();
            settings.server.slot = "holdfast";
            settings.server.create_slot = true;
            settings.spool_directory = spool_;
            postgres::receive_wal(stage_.repository(), settings, stop);
        } catch (const Error& error) {
            const std::scoped_lock lock(mutex_);
            error_ = error;
        } catch (const std::exception& error) {
            // None may leave the thread: the process would end, and leave the sandbox behind.
            const std::scoped_lock lock(mutex_);
            error_ = Error(ErrorCode::internal, error.what());
        }
        ended_ = true;
    }

    AlertStage& stage_;
    const std::string spool_;
    std::mutex mutex_;
    std::optional<Error> error_;
    std::atomic<bool> ended_ = false;
    std::jthread thread_;
};

} // namespace

void protect_cluster(AlertStage& stage) {
    stage.start_cluster();
    back_up_cluster(stage);
    archive(stage, stage.cluster().write_a_segment());
    stage.add_facts = [&stage](Facts& facts) { measure_log_of_a_day(stage, facts); };
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

void promise_an_hour(AlertStage& stage) {
    protect_cluster(stage);
    stage.add_facts = [&stage](Facts& facts) {
        measure_log(stage, facts);
        facts.sources.front().objectives.rpo = Period{0, 3600};
    };
}

void commit_in_vain(AlertStage& stage) {
    stage.refuse_writes();
    const std::string segment = stage.cluster().write_a_segment();
    try {
        archive(stage, segment);
    } catch (const Error& error) {
        if (error.code() != ErrorCode::no_space) throw;
        stage.clock.advance(hours(2));
        return;
    }
    throw Error(ErrorCode::internal, "a repository that takes nothing took a segment");
}

void start_receiver(AlertStage& stage) {
    stage.start_cluster();
    back_up_cluster(stage);
    auto receiver = std::make_shared<Receiver>(stage);
    stage.add_facts = [&stage, receiver](Facts& facts) {
        receiver->require_sign_of_life();
        measure_log(stage, facts, {receiver->state_file(), stage.clock.shift()});
    };
}

void stop_receiver(AlertStage& stage) {
    const Reports last{postgres::receive_state_path(stage.directory / "received"), stage.clock.shift()};
    // With the old function goes what it shares: the receiver ends.
    stage.add_facts = [&stage, last](Facts& facts) { measure_log(stage, facts, last); };
    const std::int64_t silence = stage.rules().threshold(*find_rule("receiver_down"), "silence");
    stage.clock.advance(std::chrono::seconds(silence) + std::chrono::minutes(1));
}

} // namespace holdfast
