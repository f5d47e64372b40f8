#include "postgres/server/written_log.h"

#include "base/error.h"
#include "base/file_descriptor.h"
#include "postgres/server/wal_stream.h"

#include <algorithm>

#include <fcntl.h>
#include <fmt/format.h>

namespace holdfast::postgres {

namespace {

constexpr std::size_t read_bytes = std::size_t{256} << 10;

[[noreturn]] void fail_removed(const std::string& place, Lsn at) {
    throw Error(ErrorCode::not_found, fmt::format("{} has the log from {} on no longer", place, at.str()),
                "receive or archive the log all the time; a backup closes the gap");
}

// One stretch of one timeline, as it is sent.
class Stretch {
  public:
    Stretch(ReplicationConnection& connection, const WrittenLog& log, Lsn begin, Clock& clock,
            const std::stop_token& stop)
        : place_(connection.connection().place()),
          clock_(clock),
          stop_(stop),
          end_(log.end),
          at_(begin),
          heard_(clock.steady()),
          stream_(connection,
                  {.start = begin, .timeline = log.history.timeline_at(begin), .confirmed = Lsn{}}, clock,
                  stop) {}

    // Until the timeline or the log ends, or no more is wanted; where that was.
    Lsn take(Duration patience, const TakeLog& take) {
        while (at_ < end_ && !timeline_ended_) {
            const StreamEvent event = stream_.next(patience, stop_);
            if (const auto* data = std::get_if<WalData>(&event)) {
                if (!take_data(*data, take)) return end_;
            } else {
                std::visit([this](const auto& other) { this->hear(other); }, event);
            }
            if (at_ < end_ && clock_.steady() - heard_ > patience)
                throw Error(ErrorCode::timed_out,
                            fmt::format("{} does not send its log behind {}", place_, at_.str()), {}, true);
        }
        return at_;
    }

  private:
    bool take_data(const WalData& data, const TakeLog& take) {
        if (data.start != at_)
            throw Error(ErrorCode::corrupt, fmt::format("{} sends its log out of order", place_), {}, true);
        heard_ = clock_.steady();
        const ByteView wanted = data.bytes.first(std::min<std::uint64_t>(data.bytes.size(), end_ - at_));
        at_ = at_ + wanted.size();
        return take(wanted);
    }
    static void hear(const WalData&) {}
    static void hear(const Nothing&) {}
    static void hear(const Keepalive&) {}
    void hear(const TimelineEnd& end) {
        if (end.switch_point != at_) fail_removed(place_, at_);
        timeline_ended_ = true;
    }
    [[noreturn]] void hear(const WalRemoved&) const { fail_removed(place_, at_); }
    [[noreturn]] void hear(const ServerStopped&) const {
        throw Error(ErrorCode::unavailable, fmt::format("{} was shut down", place_), {}, true);
    }

    const std::string place_;
    Clock& clock_;
    const std::stop_token& stop_;
    const Lsn end_;
    Lsn at_;
    Duration heard_;
    bool timeline_ended_ = false;
    WalStream stream_;
};

} // namespace

void read_log_files(const std::string& data_directory, std::uint64_t segment_bytes, const WrittenLog& log,
                    const TakeLog& take) {
    Bytes piece(read_bytes);
    for (Lsn at = log.begin; at < log.end;) {
        const Lsn segment{at.value / segment_bytes * segment_bytes};
        const Lsn end = std::min(segment + segment_bytes, log.end);
        // A segment in which a timeline was left lies there by the name of the next one, with all of it.
        const TimelineId timeline = log.history.timeline_at(Lsn{segment.value + segment_bytes - 1});
        const std::string path =
            fmt::format("{}/pg_wal/{}", data_directory, segment_name(timeline, segment, segment_bytes));
        const FileDescriptor file = open_file(path, O_RDONLY);
        while (at < end) {
            const std::size_t wanted = std::min<std::size_t>(piece.size(), end - at);
            const std::size_t read =
                read_at(file.get(), at - segment, MutableByteView(piece).first(wanted), path);
            if (read == 0) fail_removed(path, at);
            if (!take(ByteView(piece).first(read))) return;
            at = at + read;
        }
    }
}

void stream_log(ReplicationConnection& connection, const WrittenLog& log, Duration patience,
                const TakeLog& take, Clock& clock, const std::stop_token& stop) {
    for (Lsn at = log.begin; at < log.end;)
        at = Stretch(connection, log, at, clock, stop).take(patience, take);
}

} // namespace holdfast::postgres
