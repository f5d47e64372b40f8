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

constexpr int version_with_epochs = 17; // in the names: 16 digits, before that 8

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
        const LogRange range{step.slice.range.branch, std::max(step.begin, at.value), step.end};
        try {
            reader.feed(source.bytes_of(range));
        } catch (const Error& error) {
            throw error.with_context(
                fmt::format("the log from {} to {}, where the recovery of snapshot {} begins",
                            Lsn{range.begin}.str(), Lsn{range.end}.str(), plan.snapshot.id.hex()));
        }
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

// By the order of the server, in which half of all numbers without an epoch lie before any one.
bool is_later(const std::string& name, int version, std::uint64_t next_xid) {
    const bool has_epoch = version >= version_with_epochs;
    const bool is_one = name.size() == (has_epoch ? 16 : 8) &&
                        name.find_first_not_of("0123456789ABCDEF") == std::string::npos;
    if (!is_one) return false; // nothing of the server's
    std::uint64_t xid = 0;
    std::from_chars(name.data(), name.data() + name.size(), xid, 16);
    if (has_epoch) return xid >= next_xid;
    return static_cast<std::int32_t>(static_cast<std::uint32_t>(xid - next_xid)) >= 0;
}

} // namespace

std::vector<std::string> prepared_later(const RecoverySource& source, const RecoveryPlan& plan,
                                        const SnapshotCluster& cluster) {
    if (cluster.prepared.empty()) return {};
    const std::uint64_t next_xid = next_xid_of_start(source, plan, cluster);
    std::vector<std::string> later;
    std::ranges::copy_if(cluster.prepared, std::back_inserter(later),
                         [&](const std::string& name) { return is_later(name, cluster.version, next_xid); });
    return later;
}

} // namespace holdfast::postgres
