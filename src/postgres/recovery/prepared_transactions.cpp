#include "postgres/recovery/prepared_transactions.h"

#include "base/error.h"
#include "postgres/wal/wal_event.h"
#include "postgres/wal/wal_reader.h"

#include <algorithm>
#include <charconv>
#include <optional>

#include <fmt/format.h>

namespace holdfast::postgres {

namespace {

constexpr std::size_t xid_digits = 8;
constexpr std::size_t full_xid_digits = 16; // with the epoch; from 17 on

// The first number that no transaction had when the checkpoint at cluster.label.checkpoint was made.
std::uint64_t next_xid_of_start(const RecoverySource& source, const RecoveryPlan& plan,
                                const SnapshotCluster& cluster) {
    const Lsn at = cluster.label.checkpoint;
    const ControlFile& control = cluster.control;
    std::optional<std::uint64_t> next_xid;
    WalReader reader({cluster.version, control.wal_segment_bytes, control.system_identifier, 0}, at,
                     [&](const WalRecord& record) {
                         if (record.start != at) return;
                         const auto event = wal_event::event_of(record, cluster.version);
                         if (const auto* checkpoint = std::get_if<wal_event::Checkpoint>(&event))
                             next_xid = checkpoint->next_xid;
                     });
    for (const PathStep& step : plan.log.steps) {
        if (next_xid || reader.end()) break;
        if (step.end <= at.value) continue;
        reader.feed(source.bytes_of({step.slice.range.branch, std::max(step.begin, at.value), step.end}));
    }
    if (!next_xid) {
        throw Error(ErrorCode::corrupt,
                    fmt::format("the log has no checkpoint at {}, where the recovery of snapshot {} begins",
                                at.str(), plan.snapshot.id.hex()),
                    "look at the archive with 'holdfast wal verify', or restore another snapshot with "
                    "--snapshot");
    }
    return *next_xid;
}

// By the order of the server, in which half of all numbers lie before any one.
bool is_later(const std::string& name, std::uint64_t next_xid) {
    std::uint64_t xid = 0;
    const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), xid, 16);
    if (error != std::errc() || end != name.data() + name.size()) return false; // nothing of the server's
    if (name.size() == full_xid_digits) return xid >= next_xid;
    return name.size() == xid_digits &&
           static_cast<std::int32_t>(static_cast<std::uint32_t>(xid - next_xid)) >= 0;
}

} // namespace

std::vector<std::string> prepared_later(const RecoverySource& source, const RecoveryPlan& plan,
                                        const SnapshotCluster& cluster) {
    if (cluster.prepared.empty()) return {};
    const std::uint64_t next_xid = next_xid_of_start(source, plan, cluster);
    std::vector<std::string> later;
    std::ranges::copy_if(cluster.prepared, std::back_inserter(later),
                         [&](const std::string& name) { return is_later(name, next_xid); });
    return later;
}

} // namespace holdfast::postgres
