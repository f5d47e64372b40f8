// The taking side of a file that is read ahead: which parts of it are read, and how they are handed out.
#include "base/error.h"
#include "postgres/capture/read_ahead.h"
#include "repository/node/file_map_node.h"

#include <algorithm>

namespace holdfast::postgres {

namespace {

constexpr std::uint64_t block_bytes = 1u << 20;
// Pieces that lie apart are read in groups: so that few threads wait for each other, and little is read that
// nobody takes.
constexpr std::size_t scattered_bytes = 256u << 10;
// A file with more holes than that is read as if it had none behind them.
constexpr std::size_t most_extents = 4096;

constexpr std::uint64_t round_down(std::uint64_t value) { return value / page_bytes * page_bytes; }
constexpr std::uint64_t round_up(std::uint64_t value) { return round_down(value + page_bytes - 1); }

} // namespace

AheadFile::AheadFile(ReadAhead& owner, ReadOrder order) : owner_(owner), order_(std::move(order)) {
    static_assert(segmented_file_bytes_ == segmented_file_bytes);
}

AheadFile::~AheadFile() = default;

template <typename Value>
Value AheadFile::value_of(Result<Value> result) {
    if (result) return std::move(*result);
    failed_ = true;
    throw result.error();
}

std::optional<Error> AheadFile::opened() {
    std::unique_lock lock(owner_.mutex_);
    const bool done = owner_.changed_.wait(lock, owner_.threads_.stop_token(),
                                           [&] { return state_ == State::open || state_ == State::failed; });
    lock.unlock();
    if (!done) owner_.stopped();
    return error_;
}

void AheadFile::close() {
    const std::scoped_lock lock(owner_.mutex_);
    closed_ = true;
    for (const std::shared_ptr<Slot>& slot : slots_) {
        if (slot->ready) owner_.release(*slot);
    }
    slots_.clear();
    owner_.changed_.notify_all();
}

// What is to be read, as the content writer will ask for it: whole blocks between holes of whole pages.
void AheadFile::plan() {
    size_bytes_ = file_->size_bytes();
    const auto add = [&](std::uint64_t begin, std::uint64_t end) {
        end = std::min(end, size_bytes_);
        if (begin >= end) return;
        if (!stretches_.empty() && begin <= stretches_.back().end) {
            stretches_.back().end = std::max(stretches_.back().end, end);
        } else {
            stretches_.push_back({begin, end});
        }
    };
    while (std::optional<FileExtent> extent = value_of(file_->next_extent())) {
        if (extents_.size() >= most_extents) {
            extents_.push_back({extent->offset, size_bytes_ - extent->offset, false});
            break;
        }
        extents_.push_back(*extent);
    }
    if (order_.pages) {
        for (const PageRange& range : *order_.pages)
            add(range.first * page_bytes, (range.first + range.count) * page_bytes);
        add(round_down(order_.known_bytes), size_bytes_);
        return;
    }
    std::uint64_t position = 0;
    for (const FileExtent& extent : extents_) {
        if (!extent.hole) {
            if (!large()) add(extent.offset, extent.offset + extent.length);
            continue;
        }
        const std::uint64_t end = extent.offset + extent.length;
        const std::uint64_t hole_begin = std::max(position, round_up(extent.offset));
        const std::uint64_t hole_end = end >= size_bytes_ ? size_bytes_ : round_down(end);
        if (!large() || hole_begin >= hole_end) continue;
        add(position, hole_begin);
        position = hole_end;
    }
    if (large()) add(position, size_bytes_);
}

// What comes next, if anything does. With the owner's mutex held.
bool AheadFile::next_slot(Slot& slot) {
    const bool single = large() && !order_.pages;
    const std::size_t most = order_.pages ? scattered_bytes : block_bytes;
    while (next_stretch_ < stretches_.size() && slot.pieces.size() < (single ? 1 : 64)) {
        const Stretch& stretch = stretches_[next_stretch_];
        const std::uint64_t begin = std::max(stretch.begin, planned_to_);
        const std::uint64_t segment_end = (begin / segment_bytes + 1) * segment_bytes;
        const std::size_t at = slot.pieces.empty() ? 0 : slot.pieces.back().at + slot.pieces.back().length;
        const std::uint64_t length =
            std::min({block_bytes, stretch.end - begin, single ? segment_end - begin : block_bytes});
        if (at > 0 && at + length > most) break;
        slot.pieces.push_back({begin, length, at, 0});
        slot.reserved = at + length;
        planned_to_ = begin + length;
        if (planned_to_ == stretch.end) ++next_stretch_;
    }
    return !slot.pieces.empty();
}

std::optional<SourceExtent> AheadFile::next_extent() {
    if (next_extent_ == extents_.size()) return std::nullopt;
    const FileExtent& extent = extents_[next_extent_++];
    return SourceExtent{extent.offset, extent.length, extent.hole};
}

// The slot with what lies at `offset`, when it has been read; null when nobody reads that ahead, and then
// `next_begin` is where what is read ahead begins again. What lies before is dropped.
std::shared_ptr<AheadFile::Slot> AheadFile::slot_at(std::uint64_t offset, std::uint64_t& next_begin) {
    next_begin = UINT64_MAX;
    std::unique_lock lock(owner_.mutex_);
    std::shared_ptr<Slot> slot;
    const bool done = owner_.changed_.wait(lock, owner_.threads_.stop_token(), [&] {
        while (!slots_.empty() && slots_.front()->ready && slots_.front()->end() <= offset) {
            owner_.release(*slots_.front());
            slots_.pop_front();
        }
        if (slots_.empty()) return planned_;
        if (slots_.front()->pieces.front().offset > offset) return true;
        return slots_.front()->ready;
    });
    if (!done) {
        lock.unlock();
        owner_.stopped();
    }
    if (slots_.empty()) return nullptr;
    for (const Piece& piece : slots_.front()->pieces) {
        if (piece.offset + piece.length <= offset) continue;
        if (piece.offset <= offset) return slots_.front();
        next_begin = piece.offset;
        return nullptr;
    }
    return nullptr;
}

std::size_t AheadFile::read(std::uint64_t offset, MutableByteView out) {
    std::size_t done = 0;
    while (done < out.size()) {
        const std::uint64_t at = offset + done;
        std::uint64_t next_begin = 0;
        const std::shared_ptr<Slot> slot = slot_at(at, next_begin);
        if (!slot) {
            const std::size_t length = std::min<std::uint64_t>(out.size() - done, next_begin - at);
            const std::size_t got =
                value_of(owner_.read_now(*this, at, out.subspan(done, length), owner_.threads_.stop_token()));
            done += got;
            if (got < length) break;
            continue;
        }
        if (slot->error) {
            failed_ = true;
            throw Error(*slot->error);
        }
        const Piece& piece = *std::ranges::find_if(
            slot->pieces, [&](const Piece& candidate) { return candidate.offset + candidate.length > at; });
        const std::size_t from = at - piece.offset;
        const std::size_t length = std::min(out.size() - done, piece.got - std::min(piece.got, from));
        std::copy_n(slot->bytes.begin() + static_cast<std::ptrdiff_t>(piece.at + from), length,
                    out.begin() + static_cast<std::ptrdiff_t>(done));
        done += length;
        if (from + length >= piece.got && piece.got < piece.length) break; // the file ends here
    }
    return done;
}

void AheadFile::read_block(std::uint64_t offset, std::size_t length, SourceBlock& block) {
    std::uint64_t next_begin = 0;
    const std::shared_ptr<Slot> slot = slot_at(offset, next_begin);
    if (!slot || slot->error || slot->pieces.size() != 1 || slot->pieces.front().offset != offset ||
        slot->pieces.front().length != length || slot->pieces.front().got != length) {
        return ContentSource::read_block(offset, length, block);
    }
    block.bytes.swap(slot->bytes);
    block.signatures.swap(slot->signatures);
    const std::scoped_lock lock(owner_.mutex_);
    slots_.pop_front();
    owner_.release(*slot);
}

} // namespace holdfast::postgres
