#include "postgres/archive/wal_slicer.h"

#include "base/error.h"

#include <algorithm>

namespace holdfast::postgres {

WalSlicer::WalSlicer(const WalSource& source, Lsn start, TakeSlice take, Undecodable rest)
    : source_(source),
      window_bytes_(std::min(wal_slice_bytes, source.segment_bytes)),
      rest_bytes_(rest),
      take_(std::move(take)),
      position_(start),
      window_(start),
      cut_(start) {
    if (start.value % source.segment_bytes != 0)
        throw Error(ErrorCode::internal,
                    "a log is to be cut from " + start.str() + ", which is no segment's start");
    begin_window();
}

WalSlicer::~WalSlicer() = default;

void WalSlicer::lead_in(ByteView segment_before) {
    leading_in_ = true;
    reader_ = std::make_unique<WalReader>(source_, Lsn{window_.value - segment_before.size()},
                                          [this](const WalRecord& record) { on_record(record); });
    reader_->feed(segment_before);
    leading_in_ = false;
}

// A record that begins before the window and ends in it counts for the window: nobody else has seen its end.
void WalSlicer::on_record(const WalRecord& record) {
    if (leading_in_) return;
    const wal_event::Event event = wal_event::event_or_unknown(record, source_.version, &refused_);
    whole_->add(record, event);
    if (rest_) rest_->add(record, event);
    if (whole_->details.last_commit_end > last_commit_end_) {
        last_commit_end_ = whole_->details.last_commit_end;
        last_commit_us_ = whole_->details.last_commit_us;
    }
}

void WalSlicer::begin_window() {
    window_ = cut_ = position_;
    content_.clear();
    content_.reserve(window_bytes_);
    whole_ = std::make_unique<RecordTally>();
    rest_.reset();
    if (reader_ && !reader_->end()) return;
    reader_ = std::make_unique<WalReader>(source_, position_,
                                          [this](const WalRecord& record) { on_record(record); });
}

void WalSlicer::feed(ByteView bytes) {
    while (!bytes.empty() && (rest_bytes_ == Undecodable::keep || !reader_->end())) {
        const std::uint64_t room = window_.value + window_bytes_ - position_.value;
        const ByteView piece = bytes.first(std::min<std::size_t>(room, bytes.size()));
        bytes = bytes.subspan(piece.size());
        content_.insert(content_.end(), piece.begin(), piece.end());
        decode(piece);
        position_ = position_ + piece.size();
        if (rest_bytes_ == Undecodable::drop && reader_->end())
            position_ = std::max(std::min(position_, reader_->last_end()), cut_);
        else if (piece.size() == room)
            finish_window();
    }
}

void WalSlicer::decode(ByteView bytes) {
    if (!reader_->end()) reader_->feed(bytes);
    if (!reader_->end() || rest_bytes_ == Undecodable::drop || !whole_->details.broken.empty()) return;
    const std::string why = std::string(to_string(reader_->end()->reason)) + ": " + reader_->end()->detail;
    whole_->details.broken = why;
    if (rest_) rest_->details.broken = why;
}

void WalSlicer::finish_window() {
    CutSlice slice = describe(*whole_, window_);
    slice.content = std::move(content_);
    content_ = Bytes();
    take_(std::move(slice));
    begin_window();
}

std::optional<CutSlice> WalSlicer::flush() {
    if (position_ == cut_) return std::nullopt;
    CutSlice slice = describe(rest_ ? *rest_ : *whole_, cut_);
    const ByteView content = ByteView(content_).subspan(cut_ - window_, position_ - cut_);
    slice.content.assign(content.begin(), content.end());
    cut_ = position_;
    rest_ = std::make_unique<RecordTally>();
    rest_->details.broken = whole_->details.broken;
    return slice;
}

// All but the content. The positions between the last record and where the next one starts are padding and
// page headers: nothing starts there.
CutSlice WalSlicer::describe(const RecordTally& part, Lsn begin) const {
    CutSlice slice;
    slice.range = {source_.timeline, begin.value, position_.value};
    slice.details = part.details;
    slice.details.system_identifier =
        source_.system_identifier != 0 ? source_.system_identifier : reader_->system_identifier();
    slice.details.version = source_.version;
    slice.details.segment_bytes = source_.segment_bytes;
    slice.summary = part.summary();
    return slice;
}

std::optional<std::int64_t> WalSlicer::last_commit_us() const {
    return last_commit_end_ ? std::optional(last_commit_us_) : std::nullopt;
}

const std::optional<WalEnd>& WalSlicer::broken() const { return reader_->end(); }

} // namespace holdfast::postgres
