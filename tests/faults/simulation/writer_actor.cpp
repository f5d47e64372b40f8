// A backup as the production code makes it, of a source that is made up.
#include "base/error.h"
#include "faults/simulation/world.h"
#include "repository/log/log_path.h"
#include "repository/log/log_reader.h"

#include <algorithm>

#include <fmt/format.h>

namespace holdfast::simulation {

namespace {

// Shorter than patience, mostly.
constexpr Duration longest_nap = std::chrono::minutes(80);
constexpr Duration beat_interval = std::chrono::minutes(5);
// Graces are told by the machine's clock, and a seed must not depend on that.
constexpr Duration endless = std::chrono::hours(24 * 365);
constexpr Duration lock_for = std::chrono::hours(24 * 90);

// A writer is at work until it has ended or was killed.
class AtWork {
  public:
    explicit AtWork(World& world) : world_(world) { ++world_.writers_at_work; }
    ~AtWork() { --world_.writers_at_work; }
    AtWork(const AtWork&) = delete;
    AtWork& operator=(const AtWork&) = delete;

  private:
    World& world_;
};

class Backup {
  public:
    Backup(World& world, const Participant& writer, const std::string& source, const BackupPlan& plan)
        : world_(world),
          plan_(plan),
          writer_(writer),
          source_(source),
          run_(writer.context(),
               LocalDirectories{.cache = world.scratch.path().string(),
                                .temporary = world.scratch.path().string()},
               writer.logger(), settings(), stop_.get_token()),
          documents_(run_, [this] { between_documents(); }) {}

    bool run(const Dataset& dataset) {
        world_.intended[run_.id()] = dataset;
        if (!begin_log()) return false;
        // Some see to their log before all else, and rely on its being there to the end.
        const bool lags = plan_.lag == Lag::as_far_as_it_may;
        const bool log_first = world_.steps.log_before_commit && (lags || chance(500));
        if (log_first) bring_log();
        if (lags || chance(100)) take_time();
        const NodeRef root = documents_.capture(dataset);
        world_.reused += documents_.taken_over() + (run_.writer().totals().known_bytes > 0 ? 1 : 0);
        if (world_.steps.log_before_commit && !log_first) bring_log();
        run_.set_log(*log_);
        const BackupRunReport report = run_.commit(root, {}, SnapshotState::complete);
        if (!world_.steps.log_before_commit) bring_log();
        world_.acknowledged.insert(run_.id());
        ++world_.commits;
        if (report.resumed) ++world_.resumed;
        if (report.lock) {
            ++world_.locks;
            world_.locked[run_.id()] = {root, report.lock->until};
        }
        return true;
    }

  private:
    bool chance(std::uint64_t per_mille) { return world_.scheduler.chance(per_mille); }

    BackupRunSettings settings() {
        BackupRunSettings settings;
        settings.source = source_;
        settings.pipeline.threads = false;
        settings.pipeline.level = {.lowest = 1, .highest = 1, .start = 1};
        if (chance(300)) settings.pipeline.pack_bytes = 200; // a frame or two
        settings.beat_interval = Duration::zero();
        for (Duration* grace : {&settings.stop_grace, &settings.commit_grace, &settings.leave_grace})
            *grace = endless;
        if (plan_.lock) settings.lock = LockSettings{.keep = lock_for};
        return settings;
    }

    // Asleep, or at work and showing it.
    void take_time() {
        Scheduler& scheduler = world_.scheduler;
        const Duration end = scheduler.now() + scheduler.random_duration(longest_nap);
        const bool beats = chance(500);
        while (beats && scheduler.now() + beat_interval < end) {
            scheduler.yield(beat_interval);
            run_.beat();
        }
        scheduler.yield(std::max(end - scheduler.now(), Duration::zero()));
    }

    // Frames end where documents are large; stops, beats and checkpoints come when they will.
    void between_documents() {
        if (chance(600)) run_.writer().end_all_frames();
        // With four, none is left of those that a listing met, but the first.
        for (std::uint64_t beats = chance(300) ? 1 + world_.scheduler.random().below(4) : 0; beats > 0;
             --beats)
            run_.beat();
        if (chance(200)) run_.save_checkpoint(documents_.root_so_far());
        if (!chance(50)) return;
        stop_.request_stop();
        run_.end_early(documents_.root_so_far());
        throw Error(ErrorCode::cancelled, "it was asked to stop");
    }

    // Mostly from the server as it is; a standby may lag behind, and a checkpoint lies back. False when it
    // lags too far behind.
    bool begin_log() {
        SimulatedLog& log = world_.logs[source_];
        const ArchiveId archive = archive_of(world_, source_);
        auto least = least_log_begin(list_snapshots(writer_.context()), archive);
        const std::uint64_t released = run_.log_released_until({archive, 1});
        if (world_.steps.heed_log_begins && released > least.value_or(0)) least = released;
        std::uint64_t begin = log.end;
        if (least && plan_.lag == Lag::as_far_as_it_may && chance(800)) {
            begin = *least;
        } else if (least && chance(400)) {
            // Often as far back as it may.
            begin = chance(500) ? *least : 1 + world_.scheduler.random().below(log.end);
        }
        if (world_.steps.heed_log_begins && least && begin < *least) return false;
        log.end += 5;
        log_ = SnapshotLog{archive, {1, begin, std::min(log.end, begin + 25)}};
        return true;
    }

    // What of it is not in the archive.
    void bring_log() {
        const LogRange& range = log_->range;
        const std::vector<LogSliceId> slices = list_slices(writer_.context().store, log_->archive);
        const std::vector<PathStep> path = find_path(slices, range);
        const std::uint64_t reached = path.empty() ? range.begin : path.back().end;
        if (reached >= range.end) return;
        LogWriter log(writer_.context(), log_->archive, 1);
        put_slice(world_, log, source_, reached, range.end);
    }

    World& world_;
    const BackupPlan plan_;
    const Participant& writer_;
    const std::string source_;
    std::optional<SnapshotLog> log_;
    std::stop_source stop_;
    BackupRun run_;
    DocumentCapture documents_;
};

} // namespace

bool back_up(World& world, const Participant& writer, const std::string& source, const Dataset& dataset,
             const BackupPlan& plan) {
    const AtWork at_work(world);
    try {
        if (Backup(world, writer, source, plan).run(dataset)) return true;
        world.trace(writer.name(), "is too far behind");
    } catch (const Error& error) {
        world.trace(writer.name(), "gave up: " + error.message());
    }
    ++world.left;
    return false;
}

} // namespace holdfast::simulation
