#include "base/error.h"
#include "service/cluster_reading.h"

#include <filesystem>

#include <fmt/format.h>

namespace holdfast {

namespace {

using namespace postgres;

class DataDirectoryReading final : public ClusterReading {
  public:
    explicit DataDirectoryReading(const ClusterReadingTools& tools) : tools_(tools) {
        std::error_code error;
        if (std::filesystem::exists(directory() + "/PG_VERSION", error)) return;
        throw Error(
            ErrorCode::not_found,
            fmt::format("{} is no data directory that can be read from here{}", directory(),
                        error ? ": " + error.message() : ""),
            "run it on the server's host, as the server's user, with data_directory as the server has it; "
            "or leave data_directory out: the backup then comes over the replication protocol");
    }

    std::string place() const override { return directory(); }
    std::string reads_everything_because() const override { return {}; }

    Lsn begin(BackupRun&) override {
        session_.emplace(ConnectionSettings{.conninfo = tools_.what.connection},
                         BackupOptions{.label = fmt::format("holdfast {}", tools_.what.run.source),
                                       .fast_checkpoint = tools_.what.fast_checkpoint,
                                       .limit = tools_.what.wait_limit},
                         tools_.stop, tools_.repository.logger());
        return session_->start();
    }

    ClusterCapture capture(BackupRun& run, const ChangedBlocks* changes, const RunId& since) override {
        ClusterCaptureRequest request;
        request.data_directory = directory();
        request.start = session_->start();
        request.system_identifier = tools_.facts.system_identifier;
        request.compare = tools_.what.compare;
        request.bytes_per_second = tools_.what.bytes_per_second;
        request.clock = &tools_.repository.clock();
        request.logger = &tools_.repository.logger();
        request.changes = changes;
        if (changes != nullptr) request.changes_since = since;
        return capture_cluster(run, request, tools_.progress, tools_.stop);
    }

    BackupStop end() override {
        BackupStop stop = session_->finish(tools_.stop);
        ended_ = true;
        return stop;
    }

    std::vector<std::string> store_log(const WalRange& asked, const ArchiveId&) override {
        WalRange range = asked;
        // A primary ends a backup by switching to a new segment, which makes the last one durable to its end,
        // and a standby has only what is durable. A server that is to stop where the backup is consistent
        // does so at the record behind it, which must be there.
        if (const std::uint64_t segment_bytes = tools_.facts.wal_segment_bytes; ended_)
            range.end = Lsn{(range.end.value + segment_bytes - 1) / segment_bytes * segment_bytes};
        return push_wal_range(tools_.repository, directory() + "/pg_wal", range,
                              tools_.facts.wal_segment_bytes, push_settings(), tools_.stop)
            .alarms;
    }

    std::optional<LogSliceId> slice_of_another(const WalArchive& archive, std::span<const PathStep> path,
                                               Lsn end) override {
        OwnLog own{directory() + "/pg_wal", tools_.facts.wal_segment_bytes};
        if (tools_.facts.in_recovery) own.end = end;
        return postgres::slice_of_another(tools_.repository, archive, path, own, {.stop = tools_.stop});
    }

    std::vector<std::string> store_history(TimelineId timeline, const ArchiveId&) override {
        const std::string path = fmt::format("{}/pg_wal/{}", directory(), history_name(timeline));
        return push_wal(tools_.repository, path, push_settings(), tools_.stop).alarms;
    }

  private:
    PushSettings push_settings() const {
        PushSettings settings;
        settings.source = tools_.what.run.source;
        settings.spool_directory = tools_.what.spool_directory;
        settings.new_cluster = true; // that was looked at
        return settings;
    }
    const std::string& directory() const { return tools_.what.data_directory; }

    const ClusterReadingTools tools_;
    std::optional<BackupSession> session_;
    bool ended_ = false;
};

} // namespace

std::unique_ptr<ClusterReading> read_data_directory(const ClusterReadingTools& tools) {
    return std::make_unique<DataDirectoryReading>(tools);
}

} // namespace holdfast
