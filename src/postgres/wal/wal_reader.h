// Decodes the bytes of PostgreSQL's write-ahead log as they come: from files, from a replication stream, from
// slices of an archive.
//
// The log is pages of 8 KiB, each with a header (24 bytes; 40 on the first page of a segment), and records
// aligned to 8 that run across pages and segments (PostgreSQL's src/include/access/xlog_internal.h and
// xlogrecord.h; the rules by which a record counts are those of its xlogreader.c). Where the log ends is not
// written anywhere: it ends where the next record does not check out. That is an ordinary result here.
#pragma once

#include "base/bytes.h"
#include "postgres/wal/lsn.h"
#include "postgres/wal/wal_record.h"

#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>

namespace holdfast::postgres {

// What the first page of a segment says of itself.
struct SegmentHeader {
    int version = 0; // the server's major version, from the page's magic number
    TimelineId timeline = 0;
    Lsn begin;
    std::uint64_t system_identifier = 0;
    std::uint64_t segment_bytes = 0;
};

// Reads the header of the first page of a segment (40 bytes are enough). Empty when the bytes are none, of a
// version that is not supported, or of another page size.
std::optional<SegmentHeader> read_segment_header(ByteView first_page);

// The magic number of the log's pages in `version`, 13 to 18; 0 for another.
std::uint16_t wal_page_magic(int version);

// Whether `a` and `b` are the same place for a record to start: the start of a page, where the record before
// may end, is the same as the position behind that page's header.
bool same_record_start(Lsn a, Lsn b);

struct WalSource {
    int version = 0;                     // major version of the server, 13 to 18
    std::uint64_t segment_bytes = 0;     // wal_segment_size: a power of two, 1 MiB to 1 GiB
    std::uint64_t system_identifier = 0; // 0: whatever the first segment header says
    TimelineId timeline = 0; // pages of later timelines end the log; 0: whatever comes, never falling
};

enum class WalEndReason {
    zeros,               // nothing was written here yet
    stale_page,          // the page is of another position: left in a recycled file
    bad_page,            // no page header, or one with unknown flags
    other_system,        // the page is of another cluster
    other_segment_size,  // the cluster's segments have another size than was said
    other_timeline,      // the page's timeline is later than asked for, or falls
    bad_record,          // the record's header cannot be one: length, resource manager
    bad_link,            // the record names another predecessor: left in a recycled file
    bad_checksum,        // the record is torn, or damaged
    broken_continuation, // the next page does not continue the record that the one before began
    malformed,           // the checksum is right, and yet it is no record of this version
};
std::string_view to_string(WalEndReason reason);

struct WalEnd {
    Lsn at; // where the next record would have to start
    WalEndReason reason = WalEndReason::zeros;
    std::string detail; // for messages: what was wrong, and where
};

// A record of which only the beginning came.
struct PendingRecord {
    Lsn start;
    std::uint64_t bytes_so_far = 0; // without page headers
    std::uint64_t bytes_total = 0;  // 0: not known yet
};

// A record that was begun, never finished, and written over after a crash: it never happened.
struct OverwrittenRecord {
    Lsn start;
    Lsn overwritten_at; // the page on which the log goes on
};

class WalReader {
  public:
    // Called for each record, in order. The record and what it points to live until the call returns. What it
    // throws leaves feed(); the reader is of no use afterwards.
    using RecordHandler = std::function<void(const WalRecord&)>;

    // Reads from `start`: the start of a page, or of a record. When that page continues an earlier record,
    // its rest is passed over. `previous`, if not 0, is the start of the record that ended at `start`; then
    // the first record must name it, and nothing may be passed over. Throws Error(usage) when `start` can be
    // neither or `source` is impossible.
    WalReader(const WalSource& source, Lsn start, RecordHandler on_record, Lsn previous = {});

    // Takes the bytes at position(), as many as there are, cut anywhere. False once the log has ended: then,
    // and from then on, they are ignored. Pages of 8 KiB and more at a time are read without copying the
    // records that lie within one page.
    bool feed(ByteView bytes);

    // Of the next byte to be fed.
    Lsn position() const { return position_; }
    // Start of the first record that was or can be seen: `start`, or behind what was passed over. 0 while
    // that is not known.
    Lsn first_start() const { return first_start_; }
    // Of the last complete record; 0 when there was none (for the start: then `previous`).
    Lsn last_start() const { return last_start_; }
    Lsn last_end() const { return last_end_; }
    // The timeline of the last page whose header was read; 0 before.
    TimelineId timeline() const { return page_timeline_; }
    // From the first segment header, or from WalSource; 0 while unknown.
    std::uint64_t system_identifier() const { return source_.system_identifier; }
    std::uint64_t records() const { return records_; }
    std::optional<PendingRecord> pending() const;
    // The last one of which the beginning was seen.
    const std::optional<OverwrittenRecord>& overwritten() const { return overwritten_; }
    // Where the log ended and why; empty while it goes on.
    const std::optional<WalEnd>& end() const { return end_; }

  private:
    enum class State {
        record,   // at the start of a record, or at the padding before it
        assembly, // within a record that did not come whole within a page
        skip,     // within a record that began before `start`
        switched, // behind a switch: the rest of the segment means nothing
    };

    std::size_t take_page_header(ByteView bytes);
    void enter_page(ByteView header);
    bool check_page(ByteView header, Lsn page);
    bool check_continuation(ByteView header, Lsn page);
    std::size_t take_body(ByteView bytes);
    std::size_t take_record_start(ByteView bytes);
    std::size_t take_assembly(ByteView bytes);
    bool check_record_header(ByteView header, Lsn start);
    void complete(ByteView bytes, Lsn start, Lsn end);
    void end_at(Lsn at, WalEndReason reason, std::string detail);

    WalSource source_;
    RecordHandler on_record_;
    WalRecordParser parser_;
    std::uint16_t magic_;

    State state_ = State::record;
    Lsn position_;
    Lsn first_start_;
    Lsn last_start_;
    Lsn last_end_;
    bool must_follow_; // records must name last_start_ as their predecessor
    TimelineId page_timeline_ = 0;
    std::uint64_t records_ = 0;

    // The header of the page at hand, while it is not whole. position_ is behind what there is of it.
    std::array<Byte, 40> header_{};
    std::size_t header_fill_ = 0;
    bool in_header_ = false;

    std::uint64_t skip_left_ = 0; // state skip
    Bytes assembly_;              // state assembly
    Lsn assembly_start_;
    TimelineId assembly_timeline_ = 0;

    std::optional<OverwrittenRecord> overwritten_;
    std::optional<WalEnd> end_;
};

} // namespace holdfast::postgres
