// Writes PostgreSQL's log by hand, for tests of what reads it.
#pragma once

#include "postgres/wal/wal_record.h"

#include <cstdint>
#include <optional>
#include <vector>

namespace holdfast::test {

struct WalBlockSpec {
    postgres::RelationFile relation;
    postgres::BlockNumber block = 0;
    postgres::Fork fork = postgres::Fork::main;
    Bytes data;
    bool image = false; // a full one, without a hole
    bool will_init = false;
};

struct WalRecordSpec {
    postgres::ResourceManager manager{};
    std::uint8_t info = 0;
    postgres::TransactionId xid = 0;
    Bytes main_data;
    std::vector<WalBlockSpec> blocks;
};

class WalWriter {
  public:
    // The log begins at `begin`, the start of a page.
    WalWriter(int version, std::uint64_t segment_bytes, postgres::Lsn begin,
              postgres::TimelineId timeline = 1, std::uint64_t system_identifier = 7'000'000'000'000'000'001);

    // Adds a record; returns where it starts.
    postgres::Lsn add(const WalRecordSpec& spec);
    // Adds a switch record, and zeros to the end of the segment.
    postgres::Lsn add_switch();
    // Adds a record that is cut off where its first page ends, and goes on with one that says so. `lost` must
    // not fit into the rest of the page. Returns where the lost one starts.
    postgres::Lsn add_overwritten(const WalRecordSpec& lost);

    postgres::Lsn begin() const { return begin_; }
    postgres::Lsn position() const { return begin_ + bytes_.size(); }
    const Bytes& bytes() const { return bytes_; }
    Bytes& bytes() { return bytes_; }
    void set_timeline(postgres::TimelineId timeline) { timeline_ = timeline; }
    // The record as bytes, naming the last one as its predecessor.
    Bytes record(const WalRecordSpec& spec) const;

  private:
    void page_header(std::uint32_t remaining, bool overwrites = false);
    postgres::Lsn lay(const Bytes& record);

    int version_;
    std::uint64_t segment_bytes_;
    postgres::Lsn begin_;
    postgres::TimelineId timeline_;
    std::uint64_t system_identifier_;
    postgres::Lsn previous_;
    Bytes bytes_;
};

// The main data of records.
Bytes storage_create_data(const postgres::RelationFile& relation, postgres::Fork fork);
Bytes storage_truncate_data(const postgres::RelationFile& relation, postgres::BlockNumber blocks,
                            std::uint32_t flags);
// A commit or abort with a list of dropped files; `info` of its record must have 0x80.
Bytes transaction_end_data(std::int64_t time, const std::vector<postgres::RelationFile>& dropped);

} // namespace holdfast::test
