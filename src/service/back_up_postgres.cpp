#include "service/back_up_postgres.h"

#include "base/error.h"
#include "postgres/archive/archived_changes.h"
#include "postgres/archive/wal_archive.h"
#include "postgres/archive/wal_push.h"
#include "postgres/server/backup_session.h"
#include "repository/json_form.h"
#include "repository/protocol/snapshot_list.h"

#include <algorithm>

#include <fmt/format.h>

namespace holdfast {

namespace {

using namespace postgres;

constexpr Duration longest_unread = std::chrono::days(14);
// Whoever archives is given so long to bring the last of the log by himself.
constexpr Duration archiver_grace = std::chrono::seconds(5);
constexpr Duration look_again = std::chrono::milliseconds(100);
constexpr std::string_view read_whole_tag = "holdfast.read-whole";

double seconds_since(Clock& clock, Duration started) {
    return std::chrono::duration<double>(clock.steady() - started).count();
}

class ClusterBackup {
  public:
    ClusterBackup(Repository& repository, const PostgresBackup& what, Progress& progress,
                  std::stop_token stop)
        : repository_(repository),
          what_(what),
          progress_(progress),
          stop_(std::move(stop)),
          clock_(repository.clock()) {}

    PostgresBackupResult run() {
        progress_.set_phase("asking the server");
        ask_server();
        BackupRunSettings settings = what_.run;
        settings.kind = "postgresql";
        settings.paths = {data_directory_};
        const ArchiveId archive_id =
            wal_archive_id(repository_.keys(), settings.source, result_.facts.system_identifier);
        archive_.emplace(repository_.context(), archive_id);
        BackupRun run(repository_, std::move(settings), stop_);
        look_at_earlier(run);

        progress_.set_phase("waiting for the server's checkpoint");
        Duration started = clock_.steady();
        BackupSession session({.conninfo = what_.connection},
                              {.label = fmt::format("holdfast {}", what_.run.source),
                               .fast_checkpoint = what_.fast_checkpoint,
                               .limit = what_.wait_limit},
                              stop_, repository_.logger());
        refuse_to_begin_too_early(session.start());
        result_.start_seconds = seconds_since(clock_, started);

        started = clock_.steady();
        capture(run, session);
        result_.capture_seconds = seconds_since(clock_, started);

        progress_.set_phase("stopping the backup");
        started = clock_.steady();
        const BackupStop stopped = session.finish(stop_);
        result_.stop_seconds = seconds_since(clock_, started);
        result_.capture.pages.settle(stopped.stop);

        progress_.set_phase("storing the log of the backup");
        started = clock_.steady();
        result_.log = {stopped.label.timeline, session.start(), stopped.stop};
        bring_log(result_.log);
        result_.log_seconds = seconds_since(clock_, started);

        progress_.set_phase("committing");
        commit(run, stopped);
        return std::move(result_);
    }

  private:
    void ask_server() {
        connection_.emplace(ConnectionSettings{.conninfo = what_.connection}, stop_, repository_.logger());
        result_.facts = read_cluster_facts(*connection_, clock_, {}, stop_);
        const ClusterFacts& facts = result_.facts;
        if (facts.wal_level == "minimal") {
            throw Error(ErrorCode::unsupported,
                        "the server writes too little into its log: wal_level is minimal",
                        "set wal_level = replica and restart it; 'holdfast setup' does so");
        }
        data_directory_ =
            !what_.data_directory.empty() ? what_.data_directory : facts.data_directory.value_or("");
        if (data_directory_.empty()) {
            throw Error(ErrorCode::usage, "where the data directory is may not be asked by this role",
                        "set data_directory of the source, or grant pg_read_all_settings");
        }
        keep_log_back();
    }

    // Until the session ends the server keeps what this backup will need. Best effort: a backup that is
    // shorter than the time between two checkpoints does not depend on it.
    void keep_log_back() {
        try {
            connection_->query("select pg_create_physical_replication_slot($1, true, true)",
                               {fmt::format("holdfast_backup_{}", connection_->backend_pid())}, stop_);
        } catch (const ServerError& error) {
            repository_.logger().warning("the server may remove log that this backup needs, if it takes long",
                                         {{"reason", error.message()}});
        }
    }

    void look_at_earlier(const BackupRun& run) {
        const SnapshotList list = list_snapshots(repository_.context());
        for (const Snapshot& snapshot : list.snapshots) {
            if (!snapshot.log || snapshot.log->archive != archive_->id()) continue;
            least_begin_ = std::min(least_begin_.value_or(Lsn{UINT64_MAX}), Lsn{snapshot.log->range.begin});
        }
        const std::optional<Snapshot>& parent = run.parent();
        if (!parent) return;
        if (!parent->log || parent->log->archive != archive_->id()) {
            if (what_.new_cluster) return;
            throw Error(
                ErrorCode::already_exists,
                fmt::format("the source {} is another cluster than this one: snapshot {} has another system "
                            "identifier",
                            what_.run.source, parent->id.hex()),
                "give this cluster a source of its own, or say --new-cluster if it has replaced the old one");
        }
        parent_ = parent;
    }

    // A collection deletes log from before all snapshots (docs/format.md, section 11).
    void refuse_to_begin_too_early(Lsn start) const {
        if (!least_begin_ || start >= *least_begin_) return;
        throw Error(
            ErrorCode::unavailable,
            fmt::format(
                "this server is at {}, before all snapshots of the source, the first of which is at {}",
                start.str(), least_begin_->str()),
            "let the standby catch up; a primary that was set back is another cluster now: --new-cluster");
    }

    void capture(BackupRun& run, BackupSession& session) {
        const ClusterFacts& facts = result_.facts;
        ClusterCaptureRequest request;
        request.data_directory = data_directory_;
        request.start = session.start();
        request.system_identifier = facts.system_identifier;
        request.compare = what_.compare;
        request.bytes_per_second = what_.bytes_per_second;
        request.clock = &clock_;
        request.logger = &repository_.logger();

        ArchivedChanges changes = what_changed(session.start());
        std::optional<MappedBlocks> blocks;
        if (changes.changes) {
            blocks.emplace(*changes.changes, relation_segment_blocks);
            request.changes = &*blocks;
            request.changes_since = parent_->id;
        } else if (what_.type == PostgresBackupType::incremental) {
            throw Error(ErrorCode::unavailable,
                        fmt::format("everything would have to be read: {}", changes.missing),
                        "say --type auto to let it");
        }
        progress_.set_phase("capturing");
        result_.capture = capture_cluster(run, request, progress_, stop_);
        result_.full_because = changes.changes ? result_.capture.everything_read_because : changes.missing;
        result_.incremental = changes.changes && result_.full_because.empty() && !what_.compare;
    }

    static constexpr std::uint32_t relation_segment_blocks = 131072;

    ArchivedChanges what_changed(Lsn start) {
        ArchivedChanges none;
        const ClusterFacts& facts = result_.facts;
        if (what_.type == PostgresBackupType::full && !what_.compare) {
            none.missing = "that was asked for";
        } else if (!parent_) {
            none.missing = "there is no earlier snapshot of this cluster";
        } else if (parent_->log->range.branch != facts.timeline) {
            none.missing = "the server is on another timeline than when the last snapshot was made";
        } else if (!facts.full_page_writes) {
            none.missing = "full_page_writes is off";
        } else if (Lsn{parent_->log->range.begin} > start) {
            none.missing = "the server is at an earlier position than when the last snapshot was made";
        } else if (parent_->state != SnapshotState::complete) {
            none.missing = "the last snapshot is not complete";
        } else if (!what_.compare && !read_whole_lately()) {
            none.missing = "no snapshot of the last two weeks was read whole";
        }
        if (!none.missing.empty()) return none;
        progress_.set_phase("reading what the log says has changed");
        const WalRange since{facts.timeline, Lsn{parent_->log->range.begin}, start};
        try {
            bring_log(since);
        } catch (const Error& error) {
            // What is lost ends what can be recovered: this snapshot is where that begins anew.
            if (error.code() != ErrorCode::not_found) throw;
            none.missing = "log since the last snapshot is lost: " + error.message();
            return none;
        }
        return changes_between(*archive_, since, repository_.keys().reads_content(), {.stop = stop_});
    }

    // When everything was read is handed on from snapshot to snapshot.
    bool read_whole_lately() {
        const auto tag = parent_->tags.find(std::string(read_whole_tag));
        if (tag == parent_->tags.end()) return false;
        return clock_.now() - from_rfc3339(tag->second) < longest_unread;
    }

    // Sees to it that the archive has `range`: whoever archives gets a moment for whole segments, then it is
    // stored from here.
    void bring_log(const WalRange& range) {
        const bool somebody_archives = result_.facts.archive_mode != "off";
        const Lsn last_segment{range.end.value / result_.facts.wal_segment_bytes *
                               result_.facts.wal_segment_bytes};
        const Duration began = clock_.steady();
        for (bool pushed = false;;) {
            const std::vector<LogSliceId> slices = archive_->slices_of(range, {.stop = stop_});
            const std::vector<PathStep> path =
                find_path(slices, {range.timeline, range.begin.value, range.end.value});
            const Lsn reached = path.empty() ? range.begin : Lsn{path.back().end};
            if (reached >= range.end) return;
            if (somebody_archives && reached < last_segment && clock_.steady() - began < archiver_grace) {
                clock_.sleep_for(look_again, stop_);
                continue;
            }
            if (pushed) {
                throw Error(
                    ErrorCode::not_found,
                    fmt::format("the log from {} to {} is neither in the archive nor in {}/pg_wal",
                                reached.str(), range.end.str(), data_directory_),
                    "the server has removed it: receive or archive the log all the time, then back up again");
            }
            push_from(reached, range);
            pushed = true;
        }
    }

    void push_from(Lsn reached, const WalRange& range) {
        PushSettings settings;
        settings.source = what_.run.source;
        settings.spool_directory = what_.spool_directory;
        settings.new_cluster = true; // that was looked at
        const PushReport pushed =
            push_wal_range(repository_, data_directory_ + "/pg_wal", {range.timeline, reached, range.end},
                           result_.facts.wal_segment_bytes, settings, stop_);
        result_.alarms.insert(result_.alarms.end(), pushed.alarms.begin(), pushed.alarms.end());
    }

    void commit(BackupRun& run, const BackupStop& stopped) {
        std::vector<ExtraFile> extras;
        const auto add = [&](std::string name, std::string_view text) {
            const ByteView bytes = as_bytes(text);
            extras.push_back({std::move(name), Bytes(bytes.begin(), bytes.end())});
        };
        add("backup_label", stopped.label_text);
        extras.push_back({"cluster.json", describe_cluster(stopped)});
        if (!stopped.tablespace_map.empty()) add("tablespace_map", stopped.tablespace_map);
        const NodeRef root = finish_cluster_tree(run, result_.capture, extras, clock_.now());
        run.set_log({archive_->id(), {result_.log.timeline, result_.log.begin.value, result_.log.end.value}});
        const bool whole = result_.capture.totals.failed == 0 && result_.capture.pages.bad_pages == 0;
        const std::string read_whole =
            result_.incremental ? parent_->tags.at(std::string(read_whole_tag)) : to_rfc3339(clock_.now());
        run.add_tag(std::string(read_whole_tag), read_whole);
        result_.report = run.commit(root, result_.capture.totals,
                                    whole ? SnapshotState::complete : SnapshotState::partial);
    }

    Bytes describe_cluster(const BackupStop& stopped) const {
        const ClusterFacts& facts = result_.facts;
        JsonWriter out;
        out.text("system_identifier", fmt::format("{}", facts.system_identifier));
        out.text("version", facts.version_text);
        out.number("catalog_version", result_.capture.control.catalog_version);
        out.number("timeline", result_.log.timeline);
        out.text("start_lsn", result_.log.begin.str());
        out.text("stop_lsn", result_.log.end.str());
        out.text("checkpoint_lsn", stopped.label.checkpoint.str());
        out.boolean("from_standby", stopped.label.from_standby());
        out.number("block_bytes", facts.block_bytes);
        out.number("wal_segment_bytes", facts.wal_segment_bytes);
        out.boolean("checksums", facts.checksums);
        out.text("data_directory", data_directory_);
        std::vector<JsonWriter> tablespaces, databases, bad;
        for (const TablespaceFacts& tablespace : facts.tablespaces) {
            tablespaces.emplace_back();
            tablespaces.back()
                .number("oid", tablespace.oid)
                .text("name", tablespace.name)
                .text("location", tablespace.location);
        }
        for (const DatabaseFacts& database : facts.databases) {
            databases.emplace_back();
            databases.back().number("oid", database.oid).text("name", database.name);
        }
        for (const BadPage& page : result_.capture.pages.bad) {
            bad.emplace_back();
            bad.back().text("path", page.path).number("block", page.block).text("why", page.why);
        }
        out.objects("tablespaces", tablespaces).objects("databases", databases).objects("bad_pages", bad);
        return out.finish();
    }

    Repository& repository_;
    const PostgresBackup& what_;
    Progress& progress_;
    std::stop_token stop_;
    Clock& clock_;
    PostgresBackupResult result_;
    std::optional<Connection> connection_; // holds a slot while it lives
    std::string data_directory_;
    std::optional<WalArchive> archive_;
    std::optional<Snapshot> parent_; // of this cluster
    std::optional<Lsn> least_begin_;
};

} // namespace

PostgresBackupResult back_up_postgres(Repository& repository, const PostgresBackup& what, Progress& progress,
                                      std::stop_token stop) {
    return ClusterBackup(repository, what, progress, std::move(stop)).run();
}

} // namespace holdfast
