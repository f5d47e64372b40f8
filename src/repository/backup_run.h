// One backup: everything between its intent and its commit that does not depend on the kind of source.
#pragma once

#include "base/progress.h"
#include "base/stop_grace.h"
#include "repository/content/content_writer.h"
#include "repository/content/file_content.h"
#include "repository/content/indexed_blobs.h"
#include "repository/pack/pack_pipeline.h"
#include "repository/repository.h"
#include "repository/snapshot_lock.h"

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace holdfast {

struct BackupRunSettings {
    std::string source;
    std::string kind = "documents";
    std::string host;
    std::vector<std::string> paths;
    std::map<std::string, std::string> tags;
    std::uint8_t retention_class = 0;
    PackPipelineSettings pipeline;
    FileContentSettings content;
    Duration checkpoint_interval = std::chrono::seconds(60);
    Duration beat_interval = std::chrono::seconds(60);
    // What storing the last checkpoint may take once a stop was requested; then calls to the store are ended.
    Duration stop_grace = std::chrono::seconds(20);
    // Locks the snapshot in the store, which must be able to.
    std::optional<LockSettings> lock{};
    // Takes nothing from earlier snapshots but blobs that the index names.
    bool ignore_previous = false;
};

// What a finished backup says beyond its snapshot.
struct BackupRunReport {
    Snapshot snapshot;
    std::uint64_t stored_bytes = 0;
    CompressionReport compression;
    std::uint64_t checkpoints = 0;
    std::optional<LockReport> lock; // when one was asked for
    bool resumed = false;           // from a checkpoint of an interrupted run
};

// One thread captures. The repository must outlive it. Destroyed before commit(), it leaves an unfinished run
// that the next backup of the source goes on from; who was asked to stop calls end_early() before.
class BackupRun {
  public:
    BackupRun(Repository& repository, BackupRunSettings settings, std::stop_token stop);
    ~BackupRun();

    // The newest snapshot of the source in this domain.
    const std::optional<Snapshot>& parent() const { return parent_; }
    // The roots of trees to compare with: a checkpoint first, if there is one that is newer than the parent.
    const std::vector<NodeRef>& previous_roots() const { return previous_; }
    bool may_refer(const FrameAddress& frame) const { return session_->may_refer(frame); }
    ContentWriter& writer() { return *writer_; }
    FileContentWriter& files() { return *files_; }

    // Whether enough time has passed (four times what the last one took, at least, unless the interval is
    // zero), or so much is new that it should be made findable.
    bool checkpoint_due();
    void save_checkpoint(const NodeRef& root);
    // Ends the run without a snapshot: saves what there is for the next one to go on from, and takes the
    // intent back, so that no collection waits for this run. What hinders it is logged: the run then counts
    // as killed. Only commit()'s place may be taken by it; nothing else is to be called afterwards.
    void end_early(const NodeRef& root);
    // Stores what is left, locks it if that is wanted, and commits. `totals.stored_bytes` is filled in.
    BackupRunReport commit(const NodeRef& root, SnapshotTotals totals, SnapshotState state);

  private:
    Snapshot describe(const NodeRef& root, const SnapshotTotals& totals, SnapshotState state) const;
    void choose_previous();
    std::uint64_t next_sequence() const;
    void flush();
    std::optional<LockReport> lock_before_commit(const NodeRef& root);

    Repository& repository_;
    const BackupRunSettings settings_;
    Timestamp started_;
    StopGrace stop_;
    RunContext run_;
    std::unique_ptr<WriterSession> session_;
    std::optional<Snapshot> parent_;
    std::vector<NodeRef> previous_;
    std::unique_ptr<IndexedBlobs> known_;
    std::unique_ptr<PackPipeline> pipeline_;
    std::unique_ptr<ContentWriter> writer_;
    std::unique_ptr<FileContentWriter> files_;
    Duration last_checkpoint_{};
    Duration checkpoint_pause_{}; // least time between two, from what the last one took
    std::uint64_t checkpoints_ = 0;
    bool resumed_ = false;
};

} // namespace holdfast
