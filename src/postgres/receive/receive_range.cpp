#include "postgres/receive/receive_range.h"

#include "base/error.h"
#include "postgres/archive/wal_slicer.h"
#include "postgres/server/wal_stream.h"

#include <algorithm>

#include <fmt/format.h>

namespace holdfast::postgres {

namespace {

constexpr Duration look_again = std::chrono::seconds(1);

class RangeReceiver {
  public:
    RangeReceiver(ReplicationConnection& connection, const WalSource& of, const WalRange& range,
                  SliceIntake& intake, Clock& clock, const std::stop_token& stop)
        : place_(connection.connection().place()),
          range_(range),
          intake_(intake),
          slicer_(of, Lsn{range.begin.value / of.segment_bytes * of.segment_bytes},
                  [&intake](CutSlice slice) { intake.add(std::move(slice)); }),
          // A slot of the backup's keeps the log; this stream says nothing of what it has.
          stream_(connection, {.start = slicer_.position(), .timeline = range.timeline, .confirmed = Lsn{}},
                  clock, stop) {}

    void run(Duration limit, Clock& clock, const std::stop_token& stop) {
        Duration heard = clock.steady();
        while (slicer_.position() < range_.end) {
            const Lsn before = slicer_.position();
            std::visit([this](const auto& event) { this->take(event); }, stream_.next(look_again, stop));
            if (slicer_.position() > before) heard = clock.steady();
            if (limit > Duration{} && clock.steady() - heard > limit) give_up();
        }
        if (std::optional<CutSlice> slice = slicer_.flush()) intake_.add(std::move(*slice));
        if (const auto& broken = slicer_.broken())
            intake_.alarm(fmt::format("the log that {} sends does not decode from {} on: {}", place_,
                                      broken->at.str(), broken->detail));
    }

  private:
    static void take(const Nothing&) {}
    static void take(const Keepalive&) {}
    // Not farther than is asked for: the rest comes with the next receiver, as a whole slice.
    void take(const WalData& data) {
        if (data.start != slicer_.position())
            throw Error(ErrorCode::corrupt, fmt::format("{} sends its log out of order", place_), {}, true);
        const std::uint64_t wanted = range_.end.value - data.start.value;
        slicer_.feed(data.bytes.first(std::min<std::uint64_t>(wanted, data.bytes.size())));
    }
    void take(const TimelineEnd& end) const {
        throw Error(ErrorCode::unavailable,
                    fmt::format("{} has left timeline {} at {}, and the log up to {} is needed", place_,
                                range_.timeline, end.switch_point.str(), range_.end.str()),
                    "take the backup again", true);
    }
    void take(const WalRemoved& removed) const {
        throw Error(
            ErrorCode::not_found,
            fmt::format("{} has removed the log from {} to {}: {}", place_, slicer_.position().str(),
                        range_.end.str(), removed.message),
            "receive or archive the log all the time, or give the server a free replication slot and room "
            "for it (max_replication_slots, max_slot_wal_keep_size), then back up again");
    }
    void take(const ServerStopped&) const {
        throw Error(ErrorCode::unavailable, fmt::format("{} was shut down", place_),
                    "take the backup again when it runs", true);
    }
    [[noreturn]] void give_up() const {
        throw Error(ErrorCode::timed_out,
                    fmt::format("{} does not send its log behind {}; that up to {} is needed", place_,
                                slicer_.position().str(), range_.end.str()),
                    "see what holds its walsender up, or give it more time", true);
    }

    const std::string place_;
    const WalRange range_;
    SliceIntake& intake_;
    WalSlicer slicer_;
    WalStream stream_;
};

} // namespace

void receive_range(ReplicationConnection& connection, const WalSource& of, const WalRange& range,
                   Duration limit, SliceIntake& intake, Clock& clock, std::stop_token stop) {
    RangeReceiver(connection, of, range, intake, clock, stop).run(limit, clock, stop);
    intake.finish();
}

} // namespace holdfast::postgres
