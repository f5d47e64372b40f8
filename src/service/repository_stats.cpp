#include "service/repository_stats.h"

#include "base/error.h"

#include <algorithm>
#include <optional>

namespace holdfast {

namespace {

std::string kind_name(std::uint8_t kind) {
    switch (kind) {
    case data_pack:
        return "data";
    case metadata_pack:
        return "metadata";
    default:
        return "log";
    }
}

void add(StoredObjects& to, std::uint64_t bytes) {
    ++to.objects;
    to.bytes += bytes;
}

// Counts the positions of a log, from slices in the order of their names.
class LogLength {
  public:
    void add(const LogSliceId& slice, std::uint64_t& bytes) {
        const auto place = std::pair(slice.archive, slice.range.branch);
        if (place_ != place) {
            place_ = place;
            end_ = 0;
        }
        if (slice.range.end <= end_) return;
        bytes += slice.range.end - std::max(end_, slice.range.begin);
        end_ = slice.range.end;
    }

  private:
    std::optional<std::pair<ArchiveId, std::uint32_t>> place_;
    std::uint64_t end_ = 0;
};

std::vector<PackId> count_objects(Repository& repository, bool detail, RepositoryStats& stats) {
    std::vector<PackId> packs;
    LogLength length;
    repository.store().list("", "",
                            [&](const ObjectInfo& info) {
                                const auto name = parse_name(info.name);
                                if (!name) {
                                    add(stats.by_folder["other"], info.size_bytes);
                                    return true;
                                }
                                add(stats.by_folder[info.name.substr(0, info.name.find('/'))],
                                    info.size_bytes);
                                add(stats.all, info.size_bytes);
                                if (const auto slice = LogSliceId::from_name(info.name)) {
                                    LogStats& log = stats.logs[slice->archive];
                                    ++log.slices;
                                    log.stored_bytes += info.size_bytes;
                                    length.add(*slice, log.log_bytes);
                                }
                                if (name->kind != NameKind::pack) return true;
                                add(stats.packs[kind_name(name->pack_kind)], info.size_bytes);
                                if (detail) packs.push_back(name->pack());
                                return true;
                            },
                            {});
    return packs;
}

void count_snapshots(Repository& repository, RepositoryStats& stats) {
    const SnapshotList list = list_snapshots(repository.context());
    std::map<std::string, const Snapshot*> newest;
    for (const Snapshot& snapshot : list.snapshots) {
        SourceStats& source = stats.sources[snapshot.source];
        ++source.snapshots;
        source.logical_bytes += snapshot.totals.bytes;
        source.added_bytes += snapshot.totals.stored_bytes;
        const Snapshot*& latest = newest[snapshot.source];
        if (latest == nullptr || newer(snapshot, *latest)) latest = &snapshot;
        stats.logical_bytes += snapshot.totals.bytes;
        if (snapshot.log) stats.logs[snapshot.log->archive].source = snapshot.source;
    }
    for (const auto& [source, snapshot] : newest)
        stats.sources[source].newest_logical_bytes = snapshot->totals.bytes;
    stats.snapshots = list.snapshots.size();
    stats.unreadable_snapshots = list.unreadable + list.damaged.size();
}

void count_frames(Repository& repository, const PackId& id, PackReader& reader, CompressionStats& stats) {
    std::shared_ptr<const LoadedPack> pack;
    try {
        pack = reader.load(id);
    } catch (const Error& error) {
        if (error.code() != ErrorCode::corrupt && error.code() != ErrorCode::incompatible &&
            error.code() != ErrorCode::wrong_key) {
            throw;
        }
        repository.logger().warning("pack passed over", {{"pack", id.name()}, {"reason", error.message()}});
        ++stats.unreadable_packs;
        return;
    }
    if (!pack) return; // gone since it was listed
    ++stats.packs;
    for (const FrameRecord& frame : pack->tail.frames) {
        ++stats.frames;
        stats.blobs += frame.blobs.size();
        stats.raw_bytes += frame.raw_length;
        stats.stored_bytes += frame.stored_length;
        if (frame.codec == Codec::stored) stats.incompressible_bytes += frame.raw_length;
    }
}

} // namespace

RepositoryStats repository_stats(Repository& repository, bool detail, std::stop_token stop) {
    RepositoryStats stats;
    const std::vector<PackId> packs = count_objects(repository, detail, stats);
    count_snapshots(repository, stats);
    PackReader reader(repository.store(), repository.keys(), 0);
    for (const PackId& pack : packs) {
        if (stop.stop_requested()) throw Error(ErrorCode::cancelled, "counting was stopped");
        count_frames(repository, pack, reader, stats.compression[kind_name(pack.kind)]);
    }
    return stats;
}

std::uint64_t repository_bytes(Repository& repository, const std::stop_token& stop) {
    std::uint64_t bytes = 0;
    repository.store().list("", "",
                            [&](const ObjectInfo& info) {
                                if (parse_name(info.name)) bytes += info.size_bytes;
                                return !stop.stop_requested();
                            },
                            {});
    if (stop.stop_requested()) throw Error(ErrorCode::cancelled, "counting was stopped");
    return bytes;
}

} // namespace holdfast
