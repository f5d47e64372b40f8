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
#include "store/stoppable_store.h"

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
    std::uint8_t retention_class = 0; // of the packs; services set it by the snapshot's tags
    PackPipelineSettings pipeline;
    FileContentSettings content;
    Duration checkpoint_interval = std::chrono::seconds(60);
    // Between these, what is in stored packs is made findable so often at the most: the next run need not
    // send it again.
    Duration segment_interval = std::chrono::seconds(5);
    Duration beat_interval = std::chrono::seconds(60);
    // What ending in good order may take, once a stop was requested or the run failed: the last checkpoint.
    // Then calls to the store are ended. By the clock of the machine, because it is people who wait.
    Duration stop_grace = std::chrono::seconds(20);
    // Requested beside the stop by who would rather have it end soon than go on from its last byte: then that
    // takes no more than `hurry_grace`.
    std::stop_token hurry{};
    Duration hurry_grace = std::chrono::seconds(5);
    // The same of a commit that had begun before the stop was requested.
    Duration commit_grace = std::chrono::seconds(20);
    // What taking the intent back may take behind that.
    Duration leave_grace = std::chrono::seconds(10);
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

// One thread captures. The repository must outlive it. Destroyed before commit(), it takes its intent back,
// so that no collection waits for it, and the next backup of the source goes on from its last checkpoint; who
// was asked to stop calls end_early() before, which saves one more.
class BackupRun {
  public:
    BackupRun(Repository& repository, BackupRunSettings settings, std::stop_token stop);
    // The same of what it needs of a repository, all of which must outlive it. To lock, the store must be
    // able to.
    BackupRun(const RepositoryContext& context, const LocalDirectories& directories, Logger& logger,
              BackupRunSettings settings, std::stop_token stop);
    ~BackupRun();

    // What the snapshot will be called.
    const RunId& id() const { return run_.id(); }
    // The newest snapshot of the source in this domain.
    const std::optional<Snapshot>& parent() const { return parent_; }
    // The roots of trees to compare with: a checkpoint first, if there is one that is newer than the parent.
    const std::vector<NodeRef>& previous_roots() const { return previous_; }
    // Whether content, or a node, may be referred to where an earlier snapshot has it.
    bool may_refer(const FrameAddress& frame) const { return session_->may_reuse(frame); }
    // Whether a file's content may be taken over as it is; of a large one its nodes unread. A run that locks
    // goes through them in the end, so it has to be able to; for others, what lies below a group is reachable
    // from a snapshot that still stands, or is found when it is read.
    bool may_take_over(const FileContent& content);
    // Before this position the log must not be needed by this run: see WriterSession.
    std::uint64_t log_released_until(const LogBranchName& log) const {
        return session_->log_released_until(log);
    }
    // Reads as the run does: until its grace is over.
    NodeReader& nodes() { return nodes_; }
    PackReader& packs() { return packs_; }
    ContentWriter& writer() { return *writer_; }
    FileContentWriter& files() { return *files_; }

    // Whether enough time has passed (four times what the last one took, at least, unless the interval is
    // zero), or so much is new that it should be made findable.
    bool checkpoint_due();
    // A sign of life, for runs whose beat interval is zero.
    void beat() { session_->beat(); }
    void save_checkpoint(const NodeRef& root);
    // Ends the run without a snapshot: saves what there is for the next one to go on from, and takes the
    // intent back. What hinders it is logged; a run whose intent stays counts as killed. Only commit()'s
    // place may be taken by it; nothing else is to be called afterwards.
    void end_early(const NodeRef& root);
    // What of the source's log makes the snapshot whole; to be said before commit(), which does not look.
    void set_log(const SnapshotLog& log) { log_ = log; }
    // A tag that is known only now.
    void add_tag(const std::string& name, const std::string& value) { settings_.tags[name] = value; }
    // Stores what is left, locks it if that is wanted, and commits. `totals.stored_bytes` is filled in. What
    // fails or is stopped before the commit is put, be it that only this was left to do, ends the run early,
    // with Error(cancelled) of what was stopped. When the commit itself fails, it may
    // be in the store all the same, unless the error is Error(fenced), and the intent stays.
    BackupRunReport commit(const NodeRef& root, SnapshotTotals totals, SnapshotState state);

  private:
    struct AskToEnd {
        std::stop_source* ending;
        void operator()() const { ending->request_stop(); }
    };
    struct CutShort {
        StopGrace* grace;
        void operator()() const { grace->cut_short(); }
    };
    // Takes the intent back when nothing of the run can put any more, however it came to its end.
    class IntentGuard {
      public:
        explicit IntentGuard(BackupRun& run) : run_(run) {}
        ~IntentGuard() { run_.leave(); }
        IntentGuard(const IntentGuard&) = delete;
        IntentGuard& operator=(const IntentGuard&) = delete;

      private:
        BackupRun& run_;
    };
    Snapshot describe(const NodeRef& root, const SnapshotTotals& totals, SnapshotState state) const;
    void choose_previous();
    bool stays_readable(const NodeRef& group);
    std::uint64_t next_sequence() const;
    void flush();
    void require_wanted() const;
    void leave() noexcept;
    std::optional<LockReport> lock_before_commit(const NodeRef& root);
    void put_commit(const Snapshot& snapshot, const CallOptions& call);

    const RepositoryContext repository_; // stopped by nothing
    Logger& logger_;
    BackupRunSettings settings_;
    Timestamp started_;
    std::stop_source ending_; // a stop was requested, or the run ends itself
    std::stop_callback<AskToEnd> asked_;
    StopGrace stop_;
    StopGrace hurry_;
    std::stop_callback<CutShort> hurried_;
    StopGrace stop_leaving_;
    StoppableStore store_;
    const RepositoryContext context_; // of the session
    PackReader packs_;
    NodeReader nodes_;
    RunContext run_;
    bool left_or_committing_ = false;
    std::unique_ptr<WriterSession> session_;
    const IntentGuard guard_; // behind the session, before all that puts
    std::optional<Snapshot> parent_;
    std::optional<SnapshotLog> log_;
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
