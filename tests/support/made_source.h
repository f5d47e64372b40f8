// A source to recover from that is made up: snapshots and slices in seconds and mebibytes.
#pragma once

#include "postgres/recovery/recovery_source.h"

#include <algorithm>

namespace holdfast::test {

constexpr std::uint64_t mebibyte = std::uint64_t{1} << 20;

// Positions are in MiB, times in seconds after `base`.
class MadeSource {
  public:
    MadeSource() {
        source.name = "orders";
        source.histories.emplace(1, postgres::TimelineHistory(1));
        source.details = [this](const LogSliceId& slice) { return details.at(slice); };
    }

    static Timestamp time(std::int64_t second) {
        return from_rfc3339("2026-11-20T10:00:00Z") + std::chrono::seconds(second);
    }
    static postgres::Lsn at(double mib) {
        return {static_cast<std::uint64_t>(mib * static_cast<double>(mebibyte))};
    }

    // One that a backup made between two positions; complete at `second`.
    const RunId& snapshot(double begin, double end, std::int64_t second, postgres::TimelineId timeline = 1) {
        Snapshot made;
        made.id.bytes[15] = static_cast<Byte>(source.snapshots.size() + 1);
        made.source = source.name;
        made.kind = postgres::snapshot_kind;
        made.sequence = source.snapshots.size() + 1;
        made.time = made.end = time(second);
        made.totals.bytes = 1000;
        made.log = SnapshotLog{{}, {timeline, at(begin).value, at(end).value}};
        source.snapshots.push_back(made);
        return source.snapshots.back().id;
    }

    // A slice with commits from one second to another, the last of which ends half a MiB before the slice's
    // end; behind that, a quarter of a MiB before, starts the last record. No commits: with one time.
    postgres::WalDetails& slice(double begin, double end, std::int64_t first, std::int64_t last,
                                postgres::TimelineId timeline = 1) {
        LogSliceId id;
        id.range = {timeline, at(begin).value, at(end).value};
        id.number = ++number_;
        source.slices.push_back(id);
        std::ranges::sort(source.slices);
        postgres::WalDetails& made = details[id];
        made.version = 15;
        made.segment_bytes = mebibyte;
        made.records_from = at(begin);
        made.records_to = at(end);
        made.last = at(end - 0.25);
        if (first != last) {
            made.commits = 2;
            made.first_commit_us = micros(first);
            made.last_commit_us = micros(last);
            made.last_commit_end = at(end - 0.5);
        }
        return made;
    }
    static std::int64_t micros(std::int64_t second) {
        return std::chrono::duration_cast<std::chrono::microseconds>(time(second).time_since_epoch()).count();
    }

    postgres::RecoverySource source;
    std::map<LogSliceId, postgres::WalDetails> details;

  private:
    std::uint32_t number_ = 0;
};

} // namespace holdfast::test
