#include "postgres/archive/record_tally.h"

namespace holdfast::postgres {

namespace {

constexpr std::size_t summary_memory_bytes = std::size_t{8} << 20;

} // namespace

void RecordTally::add(const WalRecord& record, const wal_event::Event& event) {
    if (!changes) changes.emplace(record.start, summary_memory_bytes);
    changes->add(record, event);
    add_details(record, event);
}

void RecordTally::add_details(const WalRecord& record, const wal_event::Event& event) {
    if (!details.records_from) {
        details.records_from = record.start;
        details.previous = record.previous;
    }
    details.last = record.start;
    details.records_to = record.end;
    if (const auto* end = std::get_if<wal_event::TransactionEnd>(&event); end != nullptr && end->committed) {
        ++details.commits;
        if (details.first_commit_us == 0) details.first_commit_us = end->time;
        details.last_commit_us = end->time;
        details.last_commit_end = record.end;
    }
    if (const auto* point = std::get_if<wal_event::RestorePoint>(&event);
        point != nullptr && details.restore_points.size() < most_restore_points &&
        point->name.size() <= longest_restore_point_bytes)
        details.restore_points.push_back({point->name, record.end, point->time});
}

} // namespace holdfast::postgres
