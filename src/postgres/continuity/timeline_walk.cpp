#include "postgres/continuity/timeline_walk.h"

#include "base/crc32c.h"
#include "postgres/archive/wal_slicer.h"
#include "postgres/continuity/slice_claim.h"

#include <algorithm>
#include <bit>

#include <fmt/format.h>

namespace holdfast::postgres {

namespace {

constexpr std::uint64_t drop_at_once_bytes = std::uint64_t{4} << 20;
constexpr std::size_t page_header_bytes = 24;

bool possible(const WalDetails& claim) {
    return wal_page_magic(claim.version) != 0 && std::has_single_bit(claim.segment_bytes) &&
           claim.segment_bytes >= std::uint64_t{1} << 20 && claim.segment_bytes <= std::uint64_t{1} << 30;
}

// Nothing was written there yet, or what an earlier use of the file left: so ends a log that goes on nowhere.
bool is_ordinary_end(WalEndReason reason) {
    return reason == WalEndReason::zeros || reason == WalEndReason::stale_page;
}

bool is_place(Lsn record, Lsn place) { return record == place || same_record_start(record, place); }

} // namespace

struct TimelineWalk::Open {
    LogSliceId id;
    WalDetails claim;
    Bytes summary;
    RecordTally tally{};
    Lsn reader_begin{};  // from where on the log was followed without a break when this began; 0: not known
                         // yet
    bool broken = false; // a break lies in it, or before it in its window

    Lsn begin() const { return Lsn{id.range.begin}; }
    Lsn end() const { return Lsn{id.range.end}; }
};

struct TimelineWalk::Watch {
    std::optional<Lsn> next{}; // what is before this, in the segment, is summed up
    std::uint32_t sum = 0;
};

TimelineWalk::TimelineWalk(TimelineId timeline, const std::vector<Lsn>& junctions)
    : window_bytes_(wal_slice_bytes) {
    proof_.timeline = timeline;
    for (const Lsn at : junctions) proof_.junctions.emplace_back(at);
    watches_.resize(junctions.size());
    source_.timeline = timeline;
}

TimelineWalk::~TimelineWalk() = default;

void TimelineWalk::find(WalFault fault, Lsn at, std::string object, std::string what) {
    proof_.findings.push_back({fault, proof_.timeline, at, std::move(object), std::move(what)});
}

ByteView TimelineWalk::bytes(Lsn from, Lsn until) const {
    return ByteView(buffer_).subspan(from - buffer_begin_, until - from);
}

// False, and told, when it cannot be followed.
bool TimelineWalk::begins_well(const FedSlice& slice, const WalDetails& claim) {
    const Lsn begin{slice.id.range.begin};
    const auto refuse = [&](std::string what) {
        find(WalFault::damaged, begin, slice.id.name(), std::move(what));
        return false;
    };
    const std::uint64_t named = slice.id.range.end - slice.id.range.begin;
    if (slice.whole.bytes.size() != named)
        return refuse(
            fmt::format("it has {} bytes of the log, and its name says {}", slice.whole.bytes.size(), named));
    if (!possible(claim))
        return refuse(fmt::format("it says that it is of version {} with segments of {} bytes", claim.version,
                                  claim.segment_bytes));
    if (source_.segment_bytes == 0) {
        source_.version = claim.version;
        source_.segment_bytes = claim.segment_bytes;
        source_.system_identifier = claim.system_identifier;
        window_bytes_ = std::min(wal_slice_bytes, claim.segment_bytes);
    }
    if (source_.version != claim.version || source_.segment_bytes != claim.segment_bytes ||
        source_.system_identifier != claim.system_identifier)
        return refuse(
            fmt::format("it is of cluster {}, version {}, segments of {} bytes; the slices before it are of "
                        "{}, version {}, {} bytes",
                        claim.system_identifier, claim.version, claim.segment_bytes,
                        source_.system_identifier, source_.version, source_.segment_bytes));
    return true;
}

void TimelineWalk::add(FedSlice slice) {
    const Lsn begin{slice.id.range.begin}, end{slice.id.range.end};
    WalDetails claim;
    try {
        claim = decode_wal_details(slice.whole.info.details, slice.id.name());
    } catch (const Error& error) {
        return find(WalFault::damaged, begin, slice.id.name(), error.message());
    }
    if (!begins_well(slice, claim)) return;
    if (end_) follow_to(std::min(begin, end_));
    if (!end_ || begin > end_) {
        end_stretch();
        begin_stretch(begin);
    }
    const std::uint64_t known = std::min(end, end_) - begin;
    const ByteView there = bytes(begin, begin + known);
    const auto differs = std::ranges::mismatch(there, ByteView(slice.whole.bytes).first(known)).in1;
    if (differs != there.end()) {
        const Lsn at = begin + static_cast<std::uint64_t>(differs - there.begin());
        const auto other = std::ranges::find_if(
            open_, [&](const Open& open) { return open.begin() <= at && at < open.end(); });
        return find(
            WalFault::conflict, at, slice.id.name(),
            fmt::format("{} has other bytes there: two clusters have written this timeline, or one was "
                        "set back to an earlier state",
                        other == open_.end() ? "another slice" : other->id.name()));
    }
    if (end > end_) {
        if (buffer_.empty()) {
            buffer_ = std::move(slice.whole.bytes);
        } else {
            const ByteView rest = ByteView(slice.whole.bytes).subspan(known);
            buffer_.insert(buffer_.end(), rest.begin(), rest.end());
        }
        end_ = end;
        cuts_.push_back(slice.id);
    }
    open_.push_back({slice.id, std::move(claim), std::move(slice.whole.summary)});
}

void TimelineWalk::begin_stretch(Lsn at) {
    buffer_.clear();
    buffer_begin_ = followed_ = end_ = at;
    reader_.reset();
    stretch_begins_ = true;
}

void TimelineWalk::end_stretch() {
    if (!end_) return;
    follow_to(end_);
    close_part(end_);
    part_.reset();
}

TimelineProof TimelineWalk::finish() {
    end_stretch();
    return std::move(proof_);
}

void TimelineWalk::follow_to(Lsn limit) {
    while (followed_ < limit) follow(next_stop(limit));
    drop_followed();
}

// Nothing begins or ends between followed_ and this.
Lsn TimelineWalk::next_stop(Lsn limit) const {
    Lsn stop = std::min(limit, window_of(followed_) + window_bytes_);
    const auto consider = [&](Lsn at) {
        if (at > followed_) stop = std::min(stop, at);
    };
    for (const Open& open : open_) consider(open.end());
    for (const LogSliceId& cut : cuts_) consider(Lsn{cut.range.end});
    for (const Junction& junction : proof_.junctions) consider(junction.at);
    return stop;
}

void TimelineWalk::follow(Lsn until) {
    if (followed_ == window_of(followed_)) {
        records_in_window_ = 0;
        again_ = false;
    }
    if (!reader_ && (stretch_begins_ || followed_ == window_of(followed_))) begin_reading(followed_);
    stretch_begins_ = false;
    for (Open& open : open_) {
        if (!open.reader_begin) open.reader_begin = reader_begin_;
        open.broken = open.broken || !reader_;
    }
    sum_up(until);
    if (reader_) feed(followed_, until);
    proof_.bytes += until - followed_;
    followed_ = until;
    if (!cuts_.empty() && cuts_.front().range.end == followed_.value) {
        close_part(followed_);
        cuts_.erase(cuts_.begin());
    }
    close_slices();
}

// At a place that is no start of a page only when a slice says that a record starts there; else at the next
// page.
void TimelineWalk::begin_reading(Lsn at) {
    if (last_end_) proof_.findings.push_back(*std::exchange(last_end_, std::nullopt));
    const std::uint64_t in_page = at.value % wal_page_bytes;
    const bool is_record = std::ranges::any_of(
        open_, [&](const Open& open) { return open.begin() == at && open.claim.records_from == at; });
    if (in_page != 0 && (!is_record || in_page % 8 != 0 || in_page < page_header_bytes)) {
        at = at + (wal_page_bytes - in_page);
        for (Open& open : open_) open.broken = true;
    }
    reader_begin_ = at;
    reader_ =
        std::make_unique<WalReader>(source_, at, [this](const WalRecord& record) { on_record(record); });
    part_ = ProvenPart{{}, at, at, {}};
    part_tally_ = {};
}

void TimelineWalk::feed(Lsn from, Lsn until) {
    const Lsn at = std::max(from, reader_->position());
    if (at >= until) return;
    reader_->feed(bytes(at, until));
    if (reader_->end()) on_break(until);
}

// When nothing of a window follows on the one before it, it is looked whether it is whole by itself.
void TimelineWalk::on_break(Lsn until) {
    const WalEnd end = *reader_->end();
    const Lsn window = window_of(followed_);
    const bool again =
        !again_ && records_in_window_ == 0 && reader_begin_ < window && window >= buffer_begin_;
    // What follows is not to touch what was before.
    const Lsn stop = again ? Lsn{std::min(end.at, window).value - 1} : end.at;
    close_part(stop);
    part_.reset();
    while (!proof_.parts.empty() && proof_.parts.back().end > stop) {
        ProvenPart& last = proof_.parts.back();
        if (last.begin < stop) {
            last.end = stop;
            break;
        }
        proof_.parts.pop_back();
    }
    for (Open& open : open_) open.broken = open.broken || !again || open.begin() < window;
    WalFinding finding{WalFault::broken, proof_.timeline, end.at,
                       cuts_.empty() ? std::string() : cuts_.front().name(),
                       fmt::format("{}: {}", to_string(end.reason), end.detail)};
    const bool ordinary = is_ordinary_end(end.reason);
    reader_.reset();
    if (ordinary) {
        last_end_ = std::move(finding);
    } else {
        proof_.findings.push_back(std::move(finding));
    }
    if (!again) return;
    again_ = true;
    begin_reading(window);
    feed(window, until);
}

void TimelineWalk::on_record(const WalRecord& record) {
    ++records_in_window_;
    ++proof_.records;
    const wal_event::Event event = wal_event::event_or_unknown(record, source_.version);
    part_tally_.add_details(record, event);
    for (Open& open : open_) {
        if (open.broken || (!open.tally.changes && may_be_left_out(record, open.begin(), open.claim)))
            continue;
        open.tally.add(record, event);
    }
    for (Junction& junction : proof_.junctions) {
        if (is_place(record.end, junction.at)) junction.last_before = record.start;
        if (is_place(record.start, junction.at)) junction.named_by_next = record.previous;
    }
}

void TimelineWalk::close_slices() {
    for (const Open& open : open_) {
        if (open.end() <= followed_) judge(open);
    }
    std::erase_if(open_, [&](const Open& open) { return open.end() <= followed_; });
}

void TimelineWalk::judge(const Open& open) {
    std::string wrong;
    if (!open.broken) {
        // What it says of a record that began before all that was followed cannot be judged.
        if (open.claim.records_from && open.claim.records_from < open.reader_begin) return;
        wrong = !open.claim.broken.empty() ? "it says that it does not decode, and it does"
                                           : untrue_claim(open.claim, open.summary, open.tally);
    } else if (open.claim.broken.empty()) {
        if (const std::optional<RecordTally> alone = told_alone(open))
            wrong = !alone->details.broken.empty() ? "it says that it decodes, and it does not"
                                                   : untrue_claim(open.claim, open.summary, *alone);
    }
    if (!wrong.empty()) find(WalFault::untrue, open.begin(), open.id.name(), std::move(wrong));
}

// Its records by themselves, as who made it has seen them. Nothing when it begins where nobody can begin.
std::optional<RecordTally> TimelineWalk::told_alone(const Open& open) const {
    const bool page = open.begin().value % wal_page_bytes == 0;
    const bool says = open.claim.records_from >= open.begin();
    if (!says || (!page && open.claim.records_from != open.begin()) || open.begin().value % 8 != 0)
        return std::nullopt;
    RecordTally tally;
    WalReader reader(source_, open.begin(), [&](const WalRecord& record) {
        tally.add(record, wal_event::event_or_unknown(record, source_.version));
    });
    reader.feed(bytes(open.begin(), open.end()));
    if (reader.end()) tally.details.broken = reader.end()->detail;
    return tally;
}

void TimelineWalk::close_part(Lsn end) {
    if (!part_) return;
    if (end > part_->begin) {
        part_->end = end;
        part_->details = std::move(part_tally_.details);
        part_->details.restore_points.clear();
        if (!cuts_.empty()) part_->slice = cuts_.front();
        proof_.commits += part_->details.commits;
        proof_.parts.push_back(std::move(*part_));
    }
    part_ = ProvenPart{{}, end, end, {}};
    part_tally_ = {};
}

void TimelineWalk::sum_up(Lsn until) {
    for (std::size_t i = 0; i < watches_.size(); ++i) {
        Junction& junction = proof_.junctions[i];
        Watch& watch = watches_[i];
        const Lsn segment{junction.at.value / source_.segment_bytes * source_.segment_bytes};
        const Lsn from = std::max(followed_, segment), to = std::min(until, junction.at);
        if (from >= to || watch.next.value_or(segment) != from) continue;
        watch.sum = crc32c(watch.sum, bytes(from, to));
        watch.next = to;
        if (to == junction.at) junction.bytes = watch.sum;
    }
}

void TimelineWalk::drop_followed() {
    Lsn keep = followed_;
    for (const Open& open : open_) keep = std::min(keep, open.begin());
    if (keep == end_) {
        buffer_.clear();
    } else if (keep - buffer_begin_ >= drop_at_once_bytes) {
        buffer_.erase(buffer_.begin(), buffer_.begin() + static_cast<std::ptrdiff_t>(keep - buffer_begin_));
    } else {
        return;
    }
    buffer_begin_ = keep;
}

} // namespace holdfast::postgres
