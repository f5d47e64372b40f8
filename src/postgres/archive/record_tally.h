// What there is to say of the records in a slice: for those who make slices, and those who prove what they
// say.
#pragma once

#include "postgres/archive/wal_details.h"
#include "postgres/wal/block_changes.h"
#include "postgres/wal/wal_event.h"
#include "postgres/wal/wal_record.h"

#include <optional>

namespace holdfast::postgres {

// A record counts for the slice in which it ends. Of `details` it fills in what is about records, of
// `changes` nothing before the first one.
struct RecordTally {
    WalDetails details;
    std::optional<BlockChanges> changes;

    // Records come in order.
    void add(const WalRecord& record, const wal_event::Event& event);
    // The same for who wants no change map.
    void add_details(const WalRecord& record, const wal_event::Event& event);
    // As a slice has it: empty when there was no record.
    Bytes summary() const { return changes ? changes->encode() : Bytes(); }
};

} // namespace holdfast::postgres
