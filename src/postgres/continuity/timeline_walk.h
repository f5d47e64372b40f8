// The slices of one timeline, held against one another, and their records followed from byte to byte.
#pragma once

#include "postgres/archive/record_tally.h"
#include "postgres/continuity/wal_finding.h"
#include "postgres/wal/wal_reader.h"
#include "repository/log/slice_feed.h"

#include <memory>
#include <optional>
#include <vector>

namespace holdfast::postgres {

// A stretch of the log that decodes, of one slice or a part of it. Parts that touch follow one another.
struct ProvenPart {
    LogSliceId slice; // where most of it was read
    Lsn begin;
    Lsn end;
    WalDetails details; // of its records; without restore points
};

// The log around a point at which one timeline leaves another.
struct Junction {
    explicit Junction(Lsn point) : at(point) {}

    Lsn at;
    std::optional<Lsn> last_before;   // start of the record that ends there
    std::optional<Lsn> named_by_next; // which one the first record behind it says it follows
    std::optional<std::uint32_t>
        bytes; // the checksum of the segment's bytes before it, if they are all there
};

struct TimelineProof {
    TimelineId timeline = 0;
    std::uint64_t bytes = 0; // that were followed
    std::uint64_t records = 0;
    std::uint64_t commits = 0;
    std::vector<ProvenPart> parts;
    std::vector<Junction> junctions;
    std::vector<WalFinding> findings;
};

class TimelineWalk {
  public:
    // `junctions`: the points at which other timelines leave this one, and at which it left its own ancestor.
    TimelineWalk(TimelineId timeline, const std::vector<Lsn>& junctions);
    ~TimelineWalk();

    // In the order of list_slices, those that begin at one place in any order; readable ones with a length.
    // Throws nothing for what is wrong with them: that is told in the proof.
    void add(FedSlice slice);
    TimelineProof finish();

  private:
    struct Open;  // a slice that reaches behind what was followed
    struct Watch; // bytes before a junction, summed up as they come

    bool begins_well(const FedSlice& slice, const WalDetails& claim);
    void begin_stretch(Lsn at);
    void end_stretch();
    void follow_to(Lsn limit);
    Lsn next_stop(Lsn limit) const;
    void follow(Lsn until);
    void feed(Lsn from, Lsn until);
    void begin_reading(Lsn at);
    void on_break(Lsn until);
    void on_record(const WalRecord& record);
    void close_slices();
    void judge(const Open& open);
    std::optional<RecordTally> told_alone(const Open& open) const;
    void close_part(Lsn end);
    void sum_up(Lsn until);
    void drop_followed();
    ByteView bytes(Lsn from, Lsn until) const;
    Lsn window_of(Lsn at) const { return Lsn{at.value / window_bytes_ * window_bytes_}; }
    void find(WalFault fault, Lsn at, std::string object, std::string what);

    TimelineProof proof_;
    std::vector<Watch> watches_;
    std::vector<Open> open_;
    WalSource source_;
    std::uint64_t window_bytes_;

    Bytes buffer_; // from buffer_begin_ to end_
    Lsn buffer_begin_;
    Lsn followed_;
    Lsn end_;
    std::vector<LogSliceId> cuts_; // that brought bytes which no other had: parts end where they do

    std::unique_ptr<WalReader> reader_; // null: nothing decodes until the next window begins
    Lsn reader_begin_;
    bool stretch_begins_ = false;
    bool again_ = false; // the window at hand is read a second time, from its beginning
    std::uint64_t records_in_window_ = 0;
    std::optional<ProvenPart> part_;
    RecordTally part_tally_;
    std::optional<WalFinding> last_end_; // an end that is none, should log follow
};

} // namespace holdfast::postgres
