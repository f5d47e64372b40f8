// What was received and may not be archived yet: segment files in a directory, the last ones partly filled,
// and the history files of timelines.
//
// A file of the spool has the name of its segment and is as long as there is log of it. Files that follow one
// another are a run; a run ends where a timeline was left, or where the server no longer had what follows.
#pragma once

#include "base/file_descriptor.h"
#include "postgres/receive/synced_mark.h"
#include "postgres/wal/wal_reader.h"

#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

namespace holdfast::postgres {

// Without an interruption from `begin`, the start of a segment, up to `end`.
struct SpoolRun {
    TimelineId timeline = 0;
    Lsn begin;
    Lsn end;

    bool operator==(const SpoolRun&) const = default;
};

// One thread appends (begin_run, append, sync, put_history), another reads and removes. One process at a time
// has it open: it is locked.
class WalSpool {
  public:
    // Makes the directory when it is missing. Throws Error(already_exists) when another receiver has it, and
    // Error(corrupt) for files that cannot be what they are called.
    explicit WalSpool(std::string directory);

    // What the log in it is of, as its first segment says; nothing when the spool is empty.
    std::optional<SegmentHeader> header() const;
    // To be called once when the spool is empty.
    void set_segment_bytes(std::uint64_t bytes);
    std::uint64_t segment_bytes() const { return segment_bytes_; }

    // After the machine itself had stopped, not only the process: what was not synced may be anything.
    // Follows the records of the last run and cuts it where they end, but never before what is known to have
    // been synced, whether it decodes or not: that may have been acknowledged. Returns the bytes that were
    // dropped.
    std::uint64_t drop_what_was_not_synced();

    // Appends begin here: the start of a segment of which nothing is there. What was appended before is
    // synced first.
    void begin_run(WalPosition at);
    // At end(). Throws the system's error; the spool then ends where it ended.
    void append(ByteView bytes);
    // Makes durable what was appended, and unless `promised` is false, that this is known after the machine
    // itself has stopped: only then may it be acknowledged in place of the archive. When that fails, the
    // spool is cut back to what is durable for certain, and the system's error is thrown: its end has moved
    // back.
    void sync(bool promised = true);
    // Durable when it returns.
    void put_history(TimelineId timeline, std::string_view text);

    // Empty when nothing is there.
    std::optional<WalPosition> end() const;
    std::optional<WalPosition> synced() const;
    std::vector<SpoolRun> runs() const;
    std::optional<std::string> history(TimelineId timeline) const;
    // Of all its files.
    std::uint64_t bytes() const;

    // As many bytes from `at` on as there are in that segment, at most out.size(); 0 at the end of a run.
    std::size_t read(WalPosition at, MutableByteView out) const;
    // Removes segments that end at or before `position` on its timeline, and those of earlier timelines. The
    // last segment stays.
    void remove_before(WalPosition position);

  private:
    std::string path_of(WalPosition segment) const;
    void load();
    std::uint64_t find_segment_bytes(const std::vector<std::string>& names) const;
    SpoolRun last_run() const;
    Lsn known_synced(const SpoolRun& run) const;
    void cut_to(WalPosition end);
    void sync_what_was_there();

    const std::string directory_;
    FileDescriptor lock_;
    std::uint64_t segment_bytes_ = 0;

    mutable std::mutex mutex_; // of what follows, but for writing_ and what is not synced
    std::map<WalPosition, std::uint64_t> segments_; // by their begin: how long they are
    std::uint64_t bytes_ = 0;
    std::optional<WalPosition> end_;
    std::optional<WalPosition> synced_;

    SyncedMark mark_;
    FileDescriptor writing_;
    WalPosition writing_segment_;
    bool new_names_ = false; // the directory is to be synced too
};

} // namespace holdfast::postgres
