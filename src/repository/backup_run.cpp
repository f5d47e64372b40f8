#include "repository/backup_run.h"

#include "base/error.h"
#include "base/version.h"
#include "repository/node/file_map_node.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

namespace holdfast {

namespace {

std::string describe_compression(const CompressionReport& report) {
    if (report.levels.empty()) return report.skipped_bytes > 0 ? "nothing was compressible" : "";
    const int lowest = report.levels.front().level;
    const int highest = report.levels.back().level;
    const std::string levels =
        lowest == highest ? fmt::to_string(lowest) : fmt::format("{} to {}", lowest, highest);
    return fmt::format("zstd {}, {:.2f} to 1; {} not compressible", levels,
                       report.stored_bytes() > 0 ? 1 / report.ratio() : 1.0,
                       format_bytes(report.skipped_bytes));
}

// Whole days, so that objects that were put at different hours need no extension.
Timestamp end_of_lock(Timestamp now, Duration keep) {
    return std::chrono::ceil<std::chrono::days>(now + keep) + std::chrono::days(1);
}

// What a holder may not commit would be stored, and then be passed over by every reader.
RunContext begin_run(const RepositoryContext& repository) {
    if (!role_may_write(repository.keys.role(), ObjectKind::commit)) {
        throw Error(ErrorCode::access_denied,
                    fmt::format("a key of role '{}' may not back up", to_string(repository.keys.role())),
                    "use a key of role full or write");
    }
    return repository.keys.begin_run(repository.random);
}

BackupRunSettings possible(const Repository& repository, BackupRunSettings settings) {
    if (settings.lock) require_object_lock(repository);
    return settings;
}

} // namespace

BackupRun::BackupRun(Repository& repository, BackupRunSettings settings, std::stop_token stop)
    : BackupRun(repository.context(), repository.directories(), repository.logger(),
                possible(repository, std::move(settings)), std::move(stop)) {}

BackupRun::BackupRun(const RepositoryContext& context, const LocalDirectories& directories, Logger& logger,
                     BackupRunSettings settings, std::stop_token stop)
    : repository_(context),
      logger_(logger),
      settings_(std::move(settings)),
      started_(repository_.clock.now()),
      asked_(std::move(stop), AskToEnd{&ending_}),
      stop_(ending_.get_token(), settings_.stop_grace, system_clock()),
      hurry_(settings_.hurry, settings_.hurry_grace, system_clock()),
      hurried_(hurry_.token(), CutShort{&stop_}),
      stop_leaving_(stop_.token(), settings_.leave_grace, system_clock()),
      store_(repository_.store, stop_.token()),
      context_(repository_.through(store_)),
      packs_(store_, repository_.keys),
      nodes_(packs_),
      run_(begin_run(repository_)),
      session_(WriterSession::begin(context_, run_, "backup of " + settings_.source, settings_.beat_interval,
                                    {.timeout = {}, .stop = stop_leaving_.token()})),
      guard_(*this) {
    const Secret domain_key = repository_.keys.identity_key();
    known_ = std::make_unique<IndexedBlobs>(IndexedBlobs::Parts{
        repository_, run_, *session_, packs_, logger_, repository_.keys.domain(),
        directories.cache + "/index", directories.temporary, stop_.token(), settings_.segment_interval});
    PackPipelineSettings pipeline = settings_.pipeline;
    if (settings_.lock)
        pipeline.retention = Retention{settings_.lock->mode, end_of_lock(started_, settings_.lock->keep)};
    pipeline.stored = [this](const PackId& pack) { known_->pack_stored(pack); };
    pipeline_ =
        std::make_unique<PackPipeline>(repository_.store, run_, repository_.clock, pipeline, stop_.token());
    writer_ =
        std::make_unique<ContentWriter>(*pipeline_, *known_, domain_key.view(), settings_.retention_class);
    files_ = std::make_unique<FileContentWriter>(
        *writer_, nodes_, packs_, domain_key.view(),
        [this](const FrameAddress& frame) { return may_refer(frame); }, settings_.content);
    choose_previous();
    last_checkpoint_ = repository_.clock.steady();
}

BackupRun::~BackupRun() = default;

void BackupRun::choose_previous() {
    const std::string& domain = repository_.keys.domain();
    for (const std::string& problem : session_->snapshots().problems) {
        logger_.warning("snapshot passed over", {{"reason", problem}});
    }
    for (const Snapshot& snapshot : session_->snapshots().snapshots) {
        if (snapshot.source != settings_.source || snapshot.domain != domain) continue;
        if (!parent_ || newer(snapshot, *parent_)) parent_ = snapshot;
    }
    if (!parent_ && session_->snapshots().unreadable > 0) {
        logger_.warning("no earlier snapshot can be read here",
                        {{"source", settings_.source},
                         {"effect", "everything is read"},
                         {"reason", "this is the first backup of the source, or the local cache of this "
                                    "write-only key was lost"}});
    }
    if (settings_.ignore_previous) return;
    for (const Snapshot& checkpoint : session_->checkpoints(settings_.source)) {
        if (checkpoint.domain != domain || (parent_ && checkpoint.sequence <= parent_->sequence)) continue;
        if (!session_->may_build_on(checkpoint, nodes_)) continue;
        previous_.push_back(checkpoint.root);
        resumed_ = true;
        break;
    }
    if (parent_) previous_.push_back(parent_->root);
}

bool BackupRun::may_take_over(const FileContent& content) {
    if (const auto* extents = std::get_if<Extents>(&content))
        return std::ranges::all_of(*extents, [&](const Extent& extent) { return may_refer(extent.frame); });
    const auto* groups = std::get_if<SegmentGroups>(&content);
    const bool must_read = settings_.lock && !repository_.keys.reads_structure();
    return groups == nullptr || std::ranges::all_of(*groups, [&](const NodeRef& group) {
               return must_read ? stays_readable(group) : session_->may_refer(group.location.frame);
           });
}

// Maps may have moved although the group above them has not. Signatures lead nowhere.
bool BackupRun::stays_readable(const NodeRef& group) {
    if (!may_refer(group.location.frame)) return false;
    try {
        return std::ranges::all_of(decode_segment_group(nodes_.read(group)), [&](const Segment& segment) {
            return may_refer(segment.map.location.frame) &&
                   (!segment.map_overlay || may_refer(segment.map_overlay->location.frame));
        });
    } catch (const Error& error) {
        if (error.code() != ErrorCode::corrupt && error.code() != ErrorCode::wrong_key) throw;
        return false;
    }
}

bool BackupRun::checkpoint_due() {
    return known_->segment_due() || repository_.clock.steady() - last_checkpoint_ >=
                                        std::max(settings_.checkpoint_interval, checkpoint_pause_);
}

void BackupRun::flush() {
    writer_->end_all_frames();
    pipeline_->flush();
    known_->put_segments();
}

// Who asked for a stop while the last packs were on their way wants no snapshot, though it could be had now.
void BackupRun::require_wanted() const {
    if (ending_.stop_requested() && !left_or_committing_)
        throw Error(ErrorCode::cancelled, "stopped before it was done");
}

// Where the store is so slow that a checkpoint takes long, most of the time still goes into the backup.
void BackupRun::save_checkpoint(const NodeRef& root) {
    const Duration began = repository_.clock.steady();
    flush();
    session_->checkpoint(describe(root, {}, SnapshotState::unfinished));
    ++checkpoints_;
    last_checkpoint_ = repository_.clock.steady();
    if (settings_.checkpoint_interval > Duration::zero()) checkpoint_pause_ = 4 * (last_checkpoint_ - began);
}

void BackupRun::end_early(const NodeRef& root) {
    ending_.request_stop(); // its grace begins, if it has not
    try {
        save_checkpoint(root);
    } catch (const Error& error) {
        logger_.warning("no last checkpoint", {{"reason", error.message()}});
    }
    leave();
}

// Its grace is its own: what came before may have used up that of the run.
void BackupRun::leave() noexcept {
    if (std::exchange(left_or_committing_, true)) return;
    ending_.request_stop();
    try {
        session_->leave({.timeout = {}, .stop = stop_leaving_.token()});
    } catch (const Error& error) {
        logger_.warning("a collection may wait for this run, which has ended",
                        {{"run", run_.id().hex()}, {"reason", error.message()}});
    } catch (...) {
        // What no error of ours is ends this run another way: a killed process in a test, no memory.
    }
}

// A snapshot that exists is locked whole; only its commit is locked a moment later.
std::optional<LockReport> BackupRun::lock_before_commit(const NodeRef& root) {
    if (!settings_.lock) return std::nullopt;
    const Retention retention{settings_.lock->mode,
                              end_of_lock(repository_.clock.now(), settings_.lock->keep)};
    LockReport report = lock_tree(repository_, nodes_, root, retention, stop_.token());
    if (log_) report.log_slices = lock_log(repository_, *log_, retention, stop_.token());
    return report;
}

BackupRunReport BackupRun::commit(const NodeRef& root, SnapshotTotals totals, SnapshotState state) {
    BackupRunReport report;
    try {
        if (repository_.steps.packs_before_commit) flush();
        require_wanted();
        const PackPipelineTotals packs = pipeline_->totals();
        totals.stored_bytes = packs.stored_bytes + known_->stored_bytes();
        report.snapshot = describe(root, totals, state);
        report.snapshot.compression = describe_compression(packs.compression);
        report.compression = packs.compression;
        report.lock = lock_before_commit(root);
        require_wanted();
    } catch (const Error&) {
        if (!left_or_committing_) end_early(root);
        throw;
    }
    // Its grace is its own: one that was cut short because all before it took long would leave in doubt
    // whether there is a snapshot, or leave one that is not locked.
    const StopGrace grace(ending_.get_token(), settings_.commit_grace, system_clock());
    const CallOptions call{.timeout = {}, .stop = grace.token()};
    put_commit(report.snapshot, call);
    if (!repository_.steps.packs_before_commit) flush();
    if (report.lock) {
        in_context(
            fmt::format("snapshot {} is stored, but its commit is not locked", report.snapshot.id.hex()),
            [&] {
                repository_.store.retain(commit_name(run_.id()), {settings_.lock->mode, report.lock->until},
                                         call);
            });
    }
    report.stored_bytes = totals.stored_bytes;
    report.checkpoints = checkpoints_;
    report.resumed = resumed_;
    return report;
}

void BackupRun::put_commit(const Snapshot& snapshot, const CallOptions& call) {
    left_or_committing_ = repository_.steps.keep_tried_intent;
    try {
        session_->commit(snapshot, call);
    } catch (const Error& error) {
        if (error.code() == ErrorCode::fenced || error.code() == ErrorCode::internal) throw;
        throw error.with_context(
            fmt::format("whether snapshot {} is stored is not known", snapshot.id.hex()));
    }
}

// A write-only machine that lost its cache cannot see how far its source has come; a number by the clock is
// above all that were counted, so that what it makes now is the latest.
std::uint64_t BackupRun::next_sequence() const {
    if (parent_) return parent_->sequence + 1;
    if (session_->snapshots().unreadable == 0) return 1;
    const auto seconds = std::chrono::floor<std::chrono::seconds>(started_.time_since_epoch()).count();
    return static_cast<std::uint64_t>(std::max<std::int64_t>(1, seconds));
}

Snapshot BackupRun::describe(const NodeRef& root, const SnapshotTotals& totals, SnapshotState state) const {
    Snapshot snapshot;
    snapshot.id = run_.id();
    snapshot.source = settings_.source;
    snapshot.kind = settings_.kind;
    snapshot.sequence = next_sequence();
    if (parent_) snapshot.parent = parent_->id;
    snapshot.host = settings_.host;
    snapshot.domain = repository_.keys.domain();
    snapshot.paths = settings_.paths;
    snapshot.time = started_;
    snapshot.end = repository_.clock.now();
    snapshot.root = root;
    snapshot.tags = settings_.tags;
    snapshot.state = state;
    snapshot.totals = totals;
    snapshot.log = log_;
    snapshot.program = fmt::format("holdfast {}", program_version);
    return snapshot;
}

} // namespace holdfast
