#include "service/back_up_postgres.h"

#include "base/error.h"
#include "postgres/archive/archived_changes.h"
#include "postgres/archive/restored_pages.h"
#include "postgres/archive/wal_archive.h"
#include "repository/log/proven_path.h"
#include "repository/protocol/snapshot_list.h"
#include "service/cluster_reading.h"
#include "service/describe_cluster.h"
#include "service/pack_classes.h"
#include "service/space_watch.h"

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
// pg_checksums writes to every page of a stopped cluster and nothing to its log, so the next snapshot must
// know what the last one found. As a tag, holders who cannot read content see it too.
constexpr std::string_view checksums_tag = "holdfast.checksums";

double seconds_since(Clock& clock, Duration started) {
    return std::chrono::duration<double>(clock.steady() - started).count();
}

// When everything was read last, by the tag that is handed on; nothing where it says nothing that makes
// sense, as one that somebody wrote himself may.
std::optional<Timestamp> read_whole_at(const Snapshot& snapshot) {
    const auto tag = snapshot.tags.find(std::string(read_whole_tag));
    if (tag == snapshot.tags.end()) return std::nullopt;
    try {
        return from_rfc3339(tag->second);
    } catch (const Error&) {
        return std::nullopt;
    }
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
        settings.paths = {reading_->place()};
        settings.retention_class = pack_class_of(repository_.config().classes, settings.tags);
        const ArchiveId archive_id =
            wal_archive_id(repository_.keys(), settings.source, result_.facts.system_identifier);
        archive_.emplace(repository_.context(), archive_id);
        BackupRun& run = run_.emplace(repository_, std::move(settings), stop_);
        look_at_earlier(run);
        look_at_space();

        progress_.set_phase("waiting for the server's checkpoint");
        Duration started = clock_.steady();
        const Lsn start = reading_->begin(run);
        refuse_to_begin_too_early(run, start);
        // Rather now than after hours; where files can be looked at, that costs nothing.
        if (!what_.data_directory.empty()) expect_own_log({facts().timeline, start, start + 1});
        result_.start_seconds = seconds_since(clock_, started);

        started = clock_.steady();
        capture(run, start);
        result_.capture_seconds = seconds_since(clock_, started);

        progress_.set_phase("stopping the backup");
        started = clock_.steady();
        const BackupStop stopped = reading_->end();
        expect_same_start(stopped, start);
        expect_same_timeline(stopped);
        result_.stop_seconds = seconds_since(clock_, started);

        progress_.set_phase("storing the log of the backup");
        started = clock_.steady();
        result_.log = {stopped.label.timeline, start, stopped.stop};
        bring_log(result_.log);
        expect_own_log(result_.log);
        bring_history(result_.log.timeline);
        settle_by_log(result_.capture.pages, *archive_, result_.log, facts().segment_blocks,
                      repository_.keys().reads_content(), {.stop = stop_});
        result_.log_seconds = seconds_since(clock_, started);

        progress_.set_phase("committing");
        commit(run, stopped);
        return std::move(result_);
    }

  private:
    void ask_server() {
        connection_.emplace(ConnectionSettings{.conninfo = what_.connection}, stop_, repository_.logger());
        result_.facts = read_cluster_facts(*connection_, clock_, {}, stop_);
        if (facts().wal_level == "minimal") {
            throw Error(ErrorCode::unsupported,
                        "the server writes too little into its log: wal_level is minimal",
                        "set wal_level = replica and restart it; 'holdfast setup' does so");
        }
        if (!facts().data_directory && !what_.data_directory.empty())
            result_.facts.data_directory = what_.data_directory;
        const ClusterReadingTools tools{repository_, what_, facts(), progress_, stop_};
        reading_ = what_.data_directory.empty() ? read_over_protocol(tools) : read_data_directory(tools);
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

    // What a backup will add is not known before: a first one about a third of the cluster, the next ones
    // about what the last one has. When that does not fit it is said, and tried.
    void look_at_space() {
        const auto space = space_of_repository(repository_.store().url());
        if (!space) return;
        const std::uint64_t expected = parent_ ? parent_->totals.stored_bytes : size_of_cluster() / 3;
        const std::uint64_t room = space->free_bytes - std::min(space->free_bytes, space->reserve_bytes());
        if (expected <= room) return;
        std::string alarm = fmt::format("this backup may need about {} MiB, and {} MiB can be used on the "
                                        "disk of {}: 'holdfast forget' and "
                                        "'holdfast prune' give back what no snapshot needs that is kept",
                                        expected >> 20, room >> 20, space->place);
        repository_.logger().warning("the repository's disk is nearly full",
                                     {{"expected_bytes", expected}, {"room_bytes", room}});
        result_.alarms.push_back(std::move(alarm));
    }
    std::uint64_t size_of_cluster() {
        try {
            const auto size = connection_->query_value(
                "SELECT coalesce(sum(pg_database_size(oid)), 0)::bigint FROM pg_database", {}, stop_);
            return std::stoull(size.value_or("0"));
        } catch (const ServerError& error) {
            if (error.code() == ErrorCode::cancelled) throw;
            return 0; // the role may not ask
        }
    }

    void look_at_earlier(const BackupRun& run) {
        const SnapshotList list = list_snapshots(repository_.context());
        if (const auto least = least_log_begin(list, archive_->id())) least_begin_ = Lsn{*least};
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

    // A collection deletes log from before all snapshots, and between them what policies let go
    // (docs/format.md, section 11).
    void refuse_to_begin_too_early(const BackupRun& run, Lsn start) const {
        if (const Lsn released{run.log_released_until({archive_->id(), facts().timeline})};
            start < released) {
            throw Error(ErrorCode::unavailable,
                        fmt::format("this server is at {}, and the log of timeline {} before {} has been "
                                    "released by policy",
                                    start.str(), facts().timeline, released.str()),
                        "let the standby catch up; a server that was set back to an earlier state needs a "
                        "source of another name");
        }
        if (!least_begin_ || start >= *least_begin_) return;
        throw Error(
            ErrorCode::unavailable,
            fmt::format(
                "this server is at {}, before all snapshots of the source, the first of which is at {}",
                start.str(), least_begin_->str()),
            "let the standby catch up; a primary that was set back is another cluster now: --new-cluster");
    }

    static void expect_same_start(const BackupStop& stopped, Lsn start) {
        if (stopped.label.start == start && stopped.stop >= start) return;
        throw Error(ErrorCode::internal,
                    fmt::format("a backup that began at {} ended at {} with a label for {}", start.str(),
                                stopped.stop.str(), stopped.label.start.str()));
    }

    // With several hosts in the connection string each connection may have found another one.
    void expect_same_timeline(const BackupStop& stopped) const {
        if (stopped.label.timeline == facts().timeline) return;
        throw Error(ErrorCode::unavailable,
                    fmt::format("the server was on timeline {} when it was asked, and the backup is of "
                                "timeline {}",
                                facts().timeline, stopped.label.timeline),
                    "take the backup again; name one host in the connection string", true);
    }

    void capture(BackupRun& run, Lsn start) {
        ArchivedChanges changes;
        changes.missing = reading_->reads_everything_because();
        if (changes.missing.empty()) {
            changes = what_changed(start);
            if (!changes.changes) refuse_incremental(changes.missing);
        } else if (!parent_) {
            refuse_incremental("there is no earlier snapshot of this cluster to compare with");
        }
        std::optional<MappedBlocks> blocks;
        if (changes.changes) blocks.emplace(*changes.changes, facts().segment_blocks);
        progress_.set_phase("capturing");
        result_.capture =
            reading_->capture(run, blocks ? &*blocks : nullptr, parent_ ? parent_->id : RunId());
        result_.full_because = changes.changes ? result_.capture.everything_read_because : changes.missing;
        result_.incremental = changes.changes && result_.full_because.empty() && !what_.compare;
    }

    void refuse_incremental(const std::string& why) const {
        if (what_.type != PostgresBackupType::incremental) return;
        throw Error(ErrorCode::unavailable, fmt::format("everything would have to be read: {}", why),
                    "say --type auto to let it");
    }

    ArchivedChanges what_changed(Lsn start) {
        ArchivedChanges none;
        if (what_.type == PostgresBackupType::full && !what_.compare) {
            none.missing = "that was asked for";
        } else if (!parent_) {
            none.missing = "there is no earlier snapshot of this cluster";
        } else if (parent_->log->range.branch != facts().timeline) {
            none.missing = "the server is on another timeline than when the last snapshot was made";
        } else if (!facts().full_page_writes) {
            none.missing = "full_page_writes is off";
        } else if (Lsn{parent_->log->range.begin} > start) {
            none.missing = "the server is at an earlier position than when the last snapshot was made";
        } else if (!has_same_checksums(*parent_)) {
            none.missing = "page checksums were switched on or off since the last snapshot";
        } else if (parent_->state != SnapshotState::complete) {
            none.missing = "the last snapshot is not complete";
        } else if (!what_.compare && !read_whole_lately()) {
            none.missing = "no snapshot of the last two weeks was read whole";
        }
        if (!none.missing.empty()) return none;
        progress_.set_phase("reading what the log says has changed");
        const WalRange since{facts().timeline, Lsn{parent_->log->range.begin}, start};
        try {
            bring_log(since);
        } catch (const Error& error) {
            // Then there is a gap that no snapshot can close, but this one does not need what is in it.
            if (error.code() != ErrorCode::not_found) throw;
            none.missing = error.message();
            return none;
        }
        if (const auto other = another_log(since)) note({describe_another(*other)});
        if (!result_.alarms.empty()) {
            // Such as a server that was set back: then the archive tells of what it has forgotten.
            none.missing = result_.alarms.front();
            return none;
        }
        return changes_between(*archive_, since, Lsn{parent_->log->range.end},
                               repository_.keys().reads_content(), {.stop = stop_});
    }

    std::string checksums_word() const { return facts().checksums ? "on" : "off"; }
    bool has_same_checksums(const Snapshot& snapshot) const {
        const auto tag = snapshot.tags.find(std::string(checksums_tag));
        return tag != snapshot.tags.end() && tag->second == checksums_word();
    }

    // When everything was read is handed on from snapshot to snapshot.
    bool read_whole_lately() {
        const auto read = read_whole_at(*parent_);
        return read && clock_.now() - *read < longest_unread;
    }

    // Sees to it that the archive has `range`: an archiver that works gets a moment for whole segments, then
    // it is stored from here. Throws Error(not_found) when the server no longer has what is missing.
    void bring_log(const WalRange& range) {
        const Lsn last_segment{range.end.value / facts().wal_segment_bytes * facts().wal_segment_bytes};
        const Duration began = clock_.steady();
        ProvenPaths proven(archive_->reader());
        for (bool stored = false;;) {
            const std::vector<PathStep> path =
                proven.find(archive_->slices_of(range, {.stop = stop_}),
                            {range.timeline, range.begin.value, range.end.value}, {.stop = stop_});
            const Lsn reached = path.empty() ? range.begin : Lsn{path.back().end};
            if (reached >= range.end) return;
            if (facts().archiver_works && reached < last_segment &&
                clock_.steady() - began < archiver_grace) {
                clock_.sleep_for(look_again, stop_);
                continue;
            }
            if (stored || !store_from(reached, range)) {
                throw Error(
                    ErrorCode::not_found,
                    fmt::format("the log from {} to {} is neither in the archive nor at {}", reached.str(),
                                range.end.str(), reading_->place()),
                    "the server has removed it: receive or archive the log all the time, then back up again");
            }
            stored = true;
        }
    }

    // Where the range begins and ends, if the server still has that.
    std::optional<LogSliceId> another_log(const WalRange& range) {
        std::vector<PathStep> path =
            ProvenPaths(archive_->reader())
                .find(archive_->slices_of(range, {.stop = stop_}),
                      {range.timeline, range.begin.value, range.end.value}, {.stop = stop_});
        if (path.size() > 2) path.erase(path.begin() + 1, path.end() - 1);
        return reading_->slice_of_another(*archive_, path, range.end);
    }

    // A snapshot whose own log is that of another server comes back wrong, or not at all.
    void expect_own_log(const WalRange& range) {
        const std::optional<LogSliceId> other = another_log(range);
        if (!other) return;
        throw Error(
            ErrorCode::already_exists, describe_another(*other),
            "let this server begin a timeline of its own: stop it, put a standby.signal into its data "
            "directory, start it, and promote it; or give it a source of another name");
    }

    static std::string describe_another(const LogSliceId& slice) {
        return fmt::format(
            "the archive has other log from {} to {} of timeline {} than this server: it was set "
            "back to an earlier state, or two servers write one timeline",
            Lsn{slice.range.begin}.str(), Lsn{slice.range.end}.str(), slice.range.branch);
    }

    // The server has it even where nobody archives; a snapshot without it could not be recovered.
    void bring_history(TimelineId timeline) {
        if (timeline == 1) return;
        try {
            note(reading_->store_history(timeline, archive_->id()));
        } catch (const Error& error) {
            if (error.code() != ErrorCode::not_found || !archive_->history_text(timeline, {.stop = stop_}))
                throw;
        }
    }

    void note(const std::vector<std::string>& alarms) {
        result_.alarms.insert(result_.alarms.end(), alarms.begin(), alarms.end());
    }

    // False when the server has removed a segment.
    bool store_from(Lsn reached, const WalRange& range) {
        try {
            note(reading_->store_log({range.timeline, reached, range.end}, archive_->id()));
            return true;
        } catch (const Error& error) {
            if (error.code() != ErrorCode::not_found) throw;
            return false;
        }
    }

    void commit(BackupRun& run, const BackupStop& stopped) {
        std::vector<ExtraFile> extras;
        const auto add = [&](std::string name, std::string_view text) {
            const ByteView bytes = as_bytes(text);
            extras.push_back({std::move(name), Bytes(bytes.begin(), bytes.end())});
        };
        add("backup_label", stopped.label_text);
        extras.push_back({"cluster.json", describe_cluster(result_, stopped.label)});
        if (!stopped.tablespace_map.empty()) add("tablespace_map", stopped.tablespace_map);
        const NodeRef root = finish_cluster_tree(run, result_.capture, extras, clock_.now());
        run.set_log({archive_->id(), {result_.log.timeline, result_.log.begin.value, result_.log.end.value}});
        const bool whole = result_.capture.totals.failed == 0 && result_.capture.pages.bad_pages == 0;
        const std::string read_whole =
            to_rfc3339(result_.incremental ? read_whole_at(*parent_).value() : clock_.now());
        run.add_tag(std::string(read_whole_tag), read_whole);
        run.add_tag(std::string(checksums_tag), checksums_word());
        result_.report = run.commit(root, result_.capture.totals,
                                    whole ? SnapshotState::complete : SnapshotState::partial);
    }

    const ClusterFacts& facts() const { return result_.facts; }

    Repository& repository_;
    const PostgresBackup& what_;
    Progress& progress_;
    std::stop_token stop_;
    Clock& clock_;
    PostgresBackupResult result_;
    std::optional<Connection> connection_; // holds a slot while it lives
    std::optional<BackupRun> run_;
    std::unique_ptr<ClusterReading> reading_; // behind the run, which its threads may use
    std::optional<WalArchive> archive_;
    std::optional<Snapshot> parent_; // of this cluster
    std::optional<Lsn> least_begin_;
};

} // namespace

PostgresBackupResult back_up_postgres(Repository& repository, const PostgresBackup& what, Progress& progress,
                                      std::stop_token stop) {
    const std::string url = repository.store().url();
    const SpaceWatch space([url] { return space_of_repository(url); }, std::move(stop));
    try {
        return ClusterBackup(repository, what, progress, space.stop_token()).run();
    } catch (const BackupTimedOut&) {
        throw;
    } catch (const Error& error) {
        if (error.code() == ErrorCode::cancelled || error.code() == ErrorCode::no_space)
            throw space.explain(error);
        throw;
    }
}

bool was_incremental(const Snapshot& snapshot) {
    const auto read = read_whole_at(snapshot);
    return read && *read < snapshot.time;
}

} // namespace holdfast
