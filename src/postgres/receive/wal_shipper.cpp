#include "postgres/receive/wal_shipper.h"

#include "base/error.h"
#include "postgres/archive/slice_presence.h"

#include <algorithm>

#include <fmt/format.h>

namespace holdfast::postgres {

namespace {

constexpr std::size_t waiting_slice_bytes = std::size_t{16} << 20;
constexpr std::size_t read_bytes = std::size_t{1} << 20;
// Of the segment before the one at which slicing begins: to know the record that crosses over.
constexpr std::uint64_t lead_in_bytes = std::uint64_t{1} << 20;
constexpr auto longest_wait = std::chrono::milliseconds(500);
constexpr const char* undecodable = "undecodable";
constexpr const char* not_understood = "not understood";
constexpr const char* two_histories = "two histories";
constexpr const char* two_contents = "two contents";

SegmentHeader header_of(const WalSpool& spool) {
    if (auto header = spool.header()) return *header;
    throw Error(ErrorCode::internal, "an empty spool is to be archived");
}

WalPosition first_of(const WalSpool& spool) {
    const SpoolRun run = spool.runs().front();
    return {run.timeline, run.begin};
}

} // namespace

struct WalShipper::Attempt {
    Attempt(WalShipper& shipper, std::stop_token stop)
        : upload(
              shipper.log_, shipper.settings_.workers, waiting_slice_bytes,
              [&shipper](const LogSliceId& id, std::size_t) { shipper.stored(id.range); }, std::move(stop)) {}

    SliceUpload upload;
    WalPosition begin; // what is before this is archived
    WalPosition at;
    Lsn cut;
    Lsn known_end; // up to here the archive may have the log of this timeline from somebody else
    std::optional<WalSlicer> slicer;
    Bytes piece = Bytes(read_bytes);
};

WalShipper::WalShipper(Repository& repository, const WalArchive& archive, WalSpool& spool,
                       WalPosition archived, ShipperSettings settings, Alarms& alarms,
                       std::function<void()> progress)
    : repository_(repository),
      archive_(archive),
      spool_(spool),
      settings_(std::move(settings)),
      alarms_(alarms),
      progress_(std::move(progress)),
      of_(header_of(spool)),
      log_(repository.context(), archive.id(), settings_.compression_level),
      schedule_(settings_.flush_interval, now()) {
    so_far_.archived = std::max(archived, first_of(spool));
    const std::vector<SpoolRun> runs = spool.runs();
    if (so_far_.archived.timeline > runs.back().timeline) so_far_.archived = first_of(spool);
    thread_ = std::jthread([this](const std::stop_token& stop) { run(stop); });
}

WalShipper::~WalShipper() = default;

void WalShipper::notice(bool hurry) {
    const std::scoped_lock lock(mutex_);
    noticed_ = true;
    hurry_ = hurry_ || hurry;
    changed_.notify_all();
}

ShippedSoFar WalShipper::so_far() const {
    const std::scoped_lock lock(mutex_);
    return so_far_;
}

std::string WalShipper::last_error() const {
    const std::scoped_lock lock(mutex_);
    return last_error_;
}

bool WalShipper::finish(const std::stop_token& stop) {
    std::unique_lock lock(mutex_);
    finishing_ = noticed_ = true;
    changed_.notify_all();
    changed_.wait(lock, stop, [&] { return finished_; });
    return finished_;
}

void WalShipper::run(const std::stop_token& stop) {
    Duration delay = settings_.first_retry;
    WalPosition before = so_far().archived;
    while (!stop.stop_requested()) {
        try {
            Attempt attempt(*this, stop);
            if (!follow(attempt, stop)) return;
            attempt.upload.finish();
            const std::scoped_lock lock(mutex_);
            finished_ = true;
            changed_.notify_all();
            return;
        } catch (const std::exception& error) {
            if (stop.stop_requested()) return;
            const WalPosition reached = so_far().archived;
            {
                const std::scoped_lock lock(mutex_);
                last_error_ = error.what();
            }
            if (reached > before) delay = settings_.first_retry;
            before = reached;
            repository_.logger().warning("the log could not be stored; it is tried again",
                                         {{"from", reached.str()}, {"reason", std::string(error.what())}});
            if (!wait_to_retry(delay, stop)) return;
            delay = std::min(delay * 2, settings_.last_retry);
        }
    }
}

// Ends, when finishing, at the end of the spool with all of it submitted. False when it was stopped.
bool WalShipper::follow(Attempt& attempt, const std::stop_token& stop) {
    {
        const std::scoped_lock lock(mutex_);
        on_their_way_.clear();
        schedule_ = FlushSchedule(settings_.flush_interval, now());
        attempt.begin = so_far_.archived;
    }
    if (!begin_run(attempt, attempt.begin, stop))
        throw Error(ErrorCode::internal, "the spool does not reach back");
    while (!stop.stop_requested()) {
        attempt.upload.rethrow_if_failed();
        bool finishing = false;
        bool due = false;
        {
            const std::scoped_lock lock(mutex_);
            noticed_ = false;
            finishing = finishing_;
            due = schedule_.due(now(), hurry_);
        }
        const std::size_t size = spool_.read(attempt.at, attempt.piece);
        if (size > 0) {
            attempt.slicer->feed(ByteView(attempt.piece).first(size));
            attempt.at.lsn = attempt.at.lsn + size;
        }
        if (due) flush(attempt);
        if (size > 0) continue;
        trim();
        // Asked for again, because what was read last may have come before the run was left.
        const std::vector<SpoolRun> runs = spool_.runs();
        const auto next = std::ranges::find_if(
            runs, [&](const SpoolRun& run) { return WalPosition{run.timeline, run.begin} > attempt.at; });
        if (next != runs.end()) {
            if (spool_.read(attempt.at, attempt.piece) > 0) continue;
            flush(attempt);
            begin_run(attempt, {next->timeline, next->begin}, stop);
        } else if (finishing) {
            flush(attempt);
            return true;
        } else {
            wait(attempt, stop);
        }
    }
    return false;
}

// From the segment of `at` on. False when the spool does not have it.
bool WalShipper::begin_run(Attempt& attempt, WalPosition at, const std::stop_token& stop) {
    const std::vector<SpoolRun> runs = spool_.runs();
    // What was archived may reach further than the spool, which lost its end.
    const auto run = std::ranges::find_if(runs, [&](const SpoolRun& one) {
        return one.timeline == at.timeline && one.begin <= at.lsn &&
               (at.lsn <= one.end || &one == &runs.back());
    });
    if (run == runs.end()) return false;
    Lsn begin = segment_begin(std::min(at.lsn, run->end), spool_.segment_bytes());
    begin = std::max(begin, run->begin);
    attempt.at = {at.timeline, begin};
    attempt.cut = begin;
    attempt.slicer.emplace(WalSource{of_.version, of_.segment_bytes, of_.system_identifier, at.timeline},
                           begin,
                           [this, &attempt](CutSlice slice) { submit(attempt, std::move(slice), false); });
    lead_in(attempt, *run);
    attempt.known_end = {};
    for (const LogSliceId& slice : archive_.slices_of({at.timeline, begin, Lsn{UINT64_MAX}}, {.stop = stop}))
        attempt.known_end = std::max(attempt.known_end, Lsn{slice.range.end});
    ship_history(attempt, at.timeline);
    return true;
}

void WalShipper::lead_in(Attempt& attempt, const SpoolRun& run) {
    if (attempt.at.lsn <= run.begin) return;
    Bytes before(std::min(lead_in_bytes, spool_.segment_bytes()));
    if (spool_.read({run.timeline, Lsn{attempt.at.lsn.value - before.size()}}, before) == before.size())
        attempt.slicer->lead_in(before);
}

void WalShipper::ship_history(Attempt& attempt, TimelineId timeline) {
    const std::optional<std::string> text = spool_.history(timeline);
    if (!text) return;
    if (const auto known = archive_.known_history(timeline)) {
        if (TimelineHistory::parse(timeline, *known) == TimelineHistory::parse(timeline, *text)) return;
        alarms_.raise(
            two_histories,
            fmt::format("two clusters have both begun timeline {}: their history files differ", timeline));
    }
    CutSlice slice;
    slice.range = {timeline, 0, 0};
    slice.details.system_identifier = of_.system_identifier;
    slice.details.history = *text;
    submit(attempt, std::move(slice), false);
}

void WalShipper::submit(Attempt& attempt, CutSlice slice, bool flush) {
    const bool history = slice.range.begin == slice.range.end;
    const WalPosition end = history ? WalPosition{} : WalPosition{slice.range.branch, Lsn{slice.range.end}};
    if (!history) {
        attempt.cut = end.lsn;
        if (end <= attempt.begin) return;
    }
    {
        const std::scoped_lock lock(mutex_);
        on_their_way_.push_back(
            {slice.range, end, slice.details.last_commit_end, slice.details.last_commit_us, flush, false});
        if (flush) {
            schedule_.flushed(now());
            hurry_ = false;
        } else if (!history) {
            schedule_.cut(now());
        }
    }
    if (const auto& broken = attempt.slicer->broken()) {
        alarms_.raise(undecodable, fmt::format("the log does not decode from {} on: {}", broken->at.str(),
                                               broken->detail));
    }
    if (const std::string& refused = attempt.slicer->refused(); !refused.empty()) {
        alarms_.raise(not_understood,
                      fmt::format("the log has a record that is not understood, so that the next snapshot "
                                  "reads everything: {}",
                                  refused));
    }
    if (!history && Lsn{slice.range.begin} < attempt.known_end && is_there(slice)) return stored(slice.range);
    attempt.upload.add(std::move(slice));
}

// Whether the archive has these very bytes. Others are told, and kept beside: the histories of timelines, or
// people, decide which count.
bool WalShipper::is_there(const CutSlice& slice) {
    switch (presence_of(archive_, log_, repository_.keys().reads_content(), slice, {})) {
    case SlicePresence::same:
        return true;
    case SlicePresence::unknown:
        return false;
    case SlicePresence::other:
        break;
    }
    alarms_.raise(two_contents,
                  fmt::format("the archive has other content for the log from {} to {} on timeline {}: two "
                              "clusters write it, or one was set back to an earlier state. Both are kept; "
                              "'holdfast wal verify' tells more",
                              Lsn{slice.range.begin}.str(), Lsn{slice.range.end}.str(), slice.range.branch));
    return false;
}

void WalShipper::flush(Attempt& attempt) {
    if (std::optional<CutSlice> slice = attempt.slicer->flush()) submit(attempt, std::move(*slice), true);
}

// On the threads of the upload.
void WalShipper::stored(const LogRange& range) {
    std::unique_lock lock(mutex_);
    const auto found = std::ranges::find_if(
        on_their_way_, [&](const OnItsWay& one) { return one.range == range && !one.stored; });
    if (found == on_their_way_.end()) return;
    found->stored = true;
    if (found->flush) schedule_.stored(now());
    last_error_.clear();
    while (!on_their_way_.empty() && on_their_way_.front().stored) {
        const OnItsWay& first = on_their_way_.front();
        so_far_.archived = std::max(so_far_.archived, first.end);
        if (first.commit_end > so_far_.last_commit_end) {
            so_far_.last_commit_end = first.commit_end;
            so_far_.last_commit_us = first.commit_us;
        }
        on_their_way_.pop_front();
    }
    noticed_ = true;
    changed_.notify_all();
    lock.unlock();
    progress_();
}

// A segment more stays than is needed, so that the next start can lead in.
void WalShipper::trim() {
    const WalPosition archived = so_far().archived;
    const Lsn begin = segment_begin(archived.lsn, spool_.segment_bytes());
    if (begin.value < spool_.segment_bytes()) return;
    spool_.remove_before({archived.timeline, Lsn{begin.value - spool_.segment_bytes()}});
}

// Until something came, something was stored, or a flush is due.
void WalShipper::wait(const Attempt& attempt, const std::stop_token& stop) {
    std::unique_lock lock(mutex_);
    Duration patience = longest_wait;
    const bool uncut = attempt.at.lsn > attempt.cut;
    if (!uncut) hurry_ = false;
    if (uncut && !schedule_.on_its_way())
        patience = std::clamp(schedule_.next() - now(), Duration(std::chrono::microseconds(100)), patience);
    changed_.wait_for(lock, stop, patience, [&] { return noticed_; });
}

bool WalShipper::wait_to_retry(Duration delay, const std::stop_token& stop) {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, stop, delay, [] { return false; });
    return !stop.stop_requested();
}

} // namespace holdfast::postgres
