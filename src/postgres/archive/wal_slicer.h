// Cuts a stream of the log into slices for the archive, decoding it on the way.
#pragma once

#include "postgres/archive/record_tally.h"
#include "postgres/wal/wal_reader.h"
#include "repository/ids.h"

#include <functional>
#include <memory>
#include <optional>

namespace holdfast::postgres {

// Slices end at multiples of this, or of the segment size where that is smaller.
constexpr std::uint64_t wal_slice_bytes = std::uint64_t{16} << 20;

// A slice ready to be sealed.
struct CutSlice {
    LogRange range;
    Bytes content;
    WalDetails details;
    Bytes summary; // BlockChanges, encoded; empty when nothing was decoded
};

// What becomes of bytes that are no log: of a damaged segment they are kept, since they may be all there is;
// of one that is not full yet, or was left, they are what an earlier use of the file left, and are dropped.
enum class Undecodable { keep, drop };

// Takes the log of one timeline as it comes. What does not decode is archived all the same, and said: whoever
// recovers from it, PostgreSQL, judges by itself. Memory: two slices. Not thread-safe.
class WalSlicer {
  public:
    using TakeSlice = std::function<void(CutSlice)>;

    // `start` is the start of a segment.
    WalSlicer(const WalSource& source, Lsn start, TakeSlice take, Undecodable rest = Undecodable::keep);
    ~WalSlicer();

    // Bytes before `start`, as many whole segments as there are, to follow a record that crosses `start`. To
    // be called before feed, with the bytes of the segment before it; they are not archived.
    void lead_in(ByteView segment_before);
    // Each slice that becomes whole goes to `take`: also what flush() has cut of it before, because one
    // object is read faster than many.
    void feed(ByteView bytes);
    // Cuts what came since the last cut, so that it can be made durable. Nothing when nothing came.
    std::optional<CutSlice> flush();

    Lsn position() const { return position_; }
    // Of the last commit that was fed; empty before the first.
    std::optional<std::int64_t> last_commit_us() const;
    Lsn last_commit_end() const { return last_commit_end_; }
    // Where decoding stopped for good in this window, for alarms; empty while all is well.
    const std::optional<WalEnd>& broken() const;
    // Why the last record was refused that was not understood, for alarms: what its slice says of changes is
    // worth nothing then. Empty while all were.
    const std::string& refused() const { return refused_; }

  private:
    void on_record(const WalRecord& record);
    void decode(ByteView bytes);
    void begin_window();
    void finish_window();
    CutSlice describe(const RecordTally& part, Lsn begin) const;

    WalSource source_;
    const std::uint64_t window_bytes_;
    const Undecodable rest_bytes_;
    TakeSlice take_;
    std::unique_ptr<WalReader> reader_;
    bool leading_in_ = false;
    Lsn position_;
    Lsn window_; // start of the slice at hand
    Lsn cut_;    // what is before this was cut
    Bytes content_;
    std::unique_ptr<RecordTally> whole_; // since window_
    std::unique_ptr<RecordTally> rest_;  // since cut_; null while nothing was cut of the window
    std::int64_t last_commit_us_ = 0;
    Lsn last_commit_end_;
    std::string refused_;
};

} // namespace holdfast::postgres
