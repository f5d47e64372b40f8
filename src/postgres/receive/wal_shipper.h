// Brings what is in the spool into the archive.
#pragma once

#include "base/clock.h"
#include "postgres/archive/slice_upload.h"
#include "postgres/archive/wal_archive.h"
#include "postgres/receive/alarms.h"
#include "postgres/receive/flush_schedule.h"
#include "postgres/receive/wal_spool.h"
#include "repository/repository.h"

#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <thread>

namespace holdfast::postgres {

struct ShipperSettings {
    unsigned workers = 2;
    int compression_level = 1;
    // What came since the last slice is stored this often at least, if the store is fast enough.
    Duration flush_interval = std::chrono::seconds(5);
    // Between attempts after the repository failed: doubled from the first to the last.
    Duration first_retry = std::chrono::seconds(1);
    Duration last_retry = std::chrono::seconds(30);
};

struct ShippedSoFar {
    // All of the spool before this is durable in the repository.
    WalPosition archived;
    Lsn last_commit_end; // of the last archived commit; 0: none yet
    std::int64_t last_commit_us = 0;
};

// Reads the spool behind the receiver, cuts slices, and has them stored by several threads; removes from the
// spool what is archived. What the archive has already when that begins is not stored again. Whatever fails
// is tried again from where the archive ends: nothing but the spool and that position is remembered. Memory:
// about two slices, and two for each worker.
class WalShipper {
  public:
    // Begins at once, at `archived` or where the spool begins. `progress` is called, on any thread, when
    // something was stored. What is given must outlive it; the spool is not empty.
    WalShipper(
        Repository& repository, const WalArchive& archive, WalSpool& spool, WalPosition archived,
        ShipperSettings settings, Alarms& alarms, std::function<void()> progress = [] {});
    // Stops without finishing.
    ~WalShipper();

    // Something was appended. `hurry`: the server waits for it to be durable.
    void notice(bool hurry = false);
    ShippedSoFar so_far() const;
    // Why the last attempt failed; empty while none did since something was stored.
    std::string last_error() const;
    // Stores all that is in the spool, and returns true when it is durable; false when `stop` was requested
    // before. Nothing may be appended any more.
    bool finish(const std::stop_token& stop);

  private:
    // A slice on its way; all slices are stored in any order, but count in the order of the log.
    struct OnItsWay {
        LogRange range;
        WalPosition end; // what is archived when this and all before it are
        Lsn commit_end;
        std::int64_t commit_us = 0;
        bool flush = false;
        bool stored = false;
    };
    struct Attempt; // of following the spool from where the archive ends

    void run(const std::stop_token& stop);
    bool follow(Attempt& attempt, const std::stop_token& stop);
    bool begin_run(Attempt& attempt, WalPosition at, const std::stop_token& stop);
    bool is_there(const CutSlice& slice);
    void lead_in(Attempt& attempt, const SpoolRun& run);
    void ship_history(Attempt& attempt, TimelineId timeline);
    void submit(Attempt& attempt, CutSlice slice, bool flush);
    void flush(Attempt& attempt);
    void stored(const LogRange& range);
    void trim();
    void wait(const Attempt& attempt, const std::stop_token& stop);
    bool wait_to_retry(Duration delay, const std::stop_token& stop);
    Duration now() const { return system_clock().steady(); }

    Repository& repository_;
    const WalArchive& archive_;
    WalSpool& spool_;
    const ShipperSettings settings_;
    Alarms& alarms_;
    const std::function<void()> progress_;
    const SegmentHeader of_;
    LogWriter log_;

    mutable std::mutex mutex_; // of what follows
    std::condition_variable_any changed_;
    ShippedSoFar so_far_;
    std::deque<OnItsWay> on_their_way_;
    FlushSchedule schedule_;
    std::string last_error_;
    bool noticed_ = false;
    bool hurry_ = false;
    bool finishing_ = false;
    bool finished_ = false;

    std::jthread thread_; // last: it uses the rest
};

} // namespace holdfast::postgres
