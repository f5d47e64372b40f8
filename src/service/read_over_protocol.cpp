#include "base/error.h"
#include "postgres/receive/receive_range.h"
#include "postgres/stream/capture_stream.h"
#include "service/cluster_reading.h"

#include <algorithm>

#include <fmt/format.h>

namespace holdfast {

namespace {

using namespace postgres;

class ProtocolReading final : public ClusterReading {
  public:
    explicit ProtocolReading(const ClusterReadingTools& tools)
        : tools_(tools), connection_(settings(), tools.stop, tools.repository.logger()) {
        if (tools_.what.compare) {
            throw Error(ErrorCode::usage,
                        "--compare needs the data directory: over the replication protocol "
                        "everything is read, and nothing depends on what the log says",
                        "run it on the server's host with data_directory of the source set");
        }
        place_ = connection_.connection().place();
        const SystemIdentity identity = connection_.identify(tools_.stop);
        if (identity.system_identifier != tools_.facts.system_identifier) {
            throw Error(ErrorCode::usage, "the connection for replication leads to another cluster",
                        "name one host in the connection string");
        }
        if (tools_.facts.in_recovery) refuse_without_full_pages(asks(), tools_.stop);
    }

    std::string place() const override { return place_; }
    std::string reads_everything_because() const override {
        return "it comes over the replication protocol; with data_directory set, on the server's host, only "
               "what has changed is read";
    }

    Lsn begin(BackupRun& run) override {
        const ClusterFacts& facts = tools_.facts;
        ClusterStreamSettings settings;
        settings.backup.label = fmt::format("holdfast {}", tools_.what.run.source);
        settings.backup.fast_checkpoint = tools_.what.fast_checkpoint;
        settings.backup.limit = tools_.what.wait_limit;
        settings.backup.past_limit = [this] { look_who_holds_up(); };
        settings.major_version = facts.major();
        settings.pages.block_bytes = facts.block_bytes;
        settings.pages.segment_blocks = facts.segment_blocks;
        settings.pages.rules.checksums = facts.checksums;
        settings.bytes_per_second = tools_.what.bytes_per_second;
        stream_.emplace(connection_, std::move(settings),
                        ClusterStreamTools{.signer = run.files().signer(),
                                           .spare_buffer = [&run] { return run.writer().spare_buffer(); },
                                           .clock = tools_.repository.clock(),
                                           .progress = tools_.progress},
                        tools_.stop);
        const BaseBackupStart& start = explained(
            "starting a backup", [&]() -> const BaseBackupStart& { return stream_->wait_for_start(); });
        refuse_what_is_not_sent(start);
        return start.start;
    }

    ClusterCapture capture(BackupRun& run, const ChangedBlocks*, const RunId&) override {
        const StreamCaptureRequest request{.system_identifier = tools_.facts.system_identifier,
                                           .logger = &tools_.repository.logger()};
        captured_ = explained("sending more of a backup",
                              [&] { return capture_stream(run, *stream_, request, tools_.stop); });
        stream_.reset();
        return std::move(captured_.cluster);
    }

    BackupStop end() override {
        BackupStop stop{captured_.end.stop, captured_.label_text, captured_.tablespace_map, {}};
        stop.label = parse_backup_label(stop.label_text);
        ended_ = true;
        return stop;
    }

    std::vector<std::string> store_log(const WalRange& asked, const ArchiveId& archive) override {
        const ClusterFacts& facts = tools_.facts;
        WalRange range = asked;
        // A primary ends a backup by switching to a new segment. A server that is to stop where the backup is
        // consistent does so at the record behind it, which must be there.
        if (const std::uint64_t bytes = facts.wal_segment_bytes; ended_ && !facts.in_recovery)
            range.end = Lsn{(range.end.value + bytes - 1) / bytes * bytes};
        SliceIntake intake(tools_.repository, archive, {.source = tools_.what.run.source}, tools_.stop);
        const WalSource of{facts.major(), facts.wal_segment_bytes, facts.system_identifier, range.timeline};
        // A stream that is left before its end leaves its connection unfit for another.
        ReplicationConnection connection(settings(), tools_.stop, tools_.repository.logger());
        receive_range(connection, of, range, tools_.what.wait_limit, intake, tools_.repository.clock(),
                      tools_.stop);
        return std::move(intake.alarms());
    }

    // Received once more: what is there with the same content is not stored again, and other content is told.
    std::optional<LogSliceId> slice_of_another(const WalArchive& archive, std::span<const PathStep> path,
                                               Lsn) override {
        for (const PathStep& step : path) {
            const WalRange range{step.slice.range.branch, Lsn{step.begin}, Lsn{step.end}};
            if (!store_log(range, archive.id()).empty()) return step.slice;
        }
        return std::nullopt;
    }

    std::vector<std::string> store_history(TimelineId timeline, const ArchiveId& archive) override {
        const auto text = connection_.timeline_history(timeline, tools_.stop);
        if (!text)
            throw Error(ErrorCode::not_found, fmt::format("{} has no {}", place_, history_name(timeline)));
        SliceIntake intake(tools_.repository, archive, {.source = tools_.what.run.source}, tools_.stop);
        intake.add_history(timeline, *text, tools_.facts.system_identifier);
        intake.finish();
        return std::move(intake.alarms());
    }

  private:
    ConnectionSettings settings() const { return {.conninfo = tools_.what.connection}; }
    Connection& asks() {
        if (!asks_) asks_.emplace(settings(), tools_.stop, tools_.repository.logger());
        return *asks_;
    }

    // Before 16 servers leave out, without a word, what was made with allow_in_place_tablespaces.
    void refuse_what_is_not_sent(const BaseBackupStart& start) const {
        for (const TablespaceFacts& tablespace : tools_.facts.tablespaces) {
            if (tablespace.location.starts_with('/') ||
                std::ranges::find(start.archives, tablespace.oid, &BackupArchive::tablespace_oid) !=
                    start.archives.end())
                continue;
            throw Error(ErrorCode::unsupported,
                        fmt::format("the server does not send the tablespace {}, which lies in its own "
                                    "data directory",
                                    tablespace.name),
                        "back up on its host, with data_directory set, or move to a tablespace elsewhere "
                        "what is in it");
        }
    }

    // On the thread of the stream.
    void look_who_holds_up() {
        held_up_ = look_at_holders(settings(), connection_.connection().backend_pid(), tools_.stop,
                                   tools_.repository.logger());
    }

    // What the server's errors mean in a backup.
    template <typename Work>
    std::invoke_result_t<Work> explained(std::string_view what, Work&& work) {
        try {
            return work();
        } catch (const ServerError& error) {
            if (error.code() == ErrorCode::unavailable) throw;
            explain_failed_backup(asks(), tools_.facts.in_recovery, error, tools_.stop);
        } catch (const Error& error) {
            if (error.code() != ErrorCode::timed_out) throw;
            throw BackupTimedOut(place(), what, tools_.what.wait_limit, held_up_);
        }
    }

    const ClusterReadingTools tools_;
    ReplicationConnection connection_;
    std::string place_;
    std::optional<Connection> asks_;
    HeldUp held_up_;
    std::optional<ClusterStream> stream_; // behind what its thread uses
    StreamCapture captured_;
    bool ended_ = false;
};

} // namespace

std::unique_ptr<ClusterReading> read_over_protocol(const ClusterReadingTools& tools) {
    return std::make_unique<ProtocolReading>(tools);
}

} // namespace holdfast
