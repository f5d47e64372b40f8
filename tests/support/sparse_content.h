// Files as tests think of them: bytes and holes, cut and joined at will, read through the interface that
// backups use, and compared with what a restore writes.
#pragma once

#include "base/error.h"
#include "repository/content/content_reader.h"
#include "repository/content/content_source.h"

#include <algorithm>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include <fmt/format.h>

namespace holdfast::test {

// A value: pieces are shared between copies, so that keeping every version of a file costs little.
class SparseContent {
  public:
    struct Piece {
        std::uint64_t length = 0;
        std::shared_ptr<const Bytes> bytes; // null: a hole
        std::uint64_t first = 0;            // of `bytes`
        bool hole() const { return bytes == nullptr; }
        ByteView view() const { return ByteView(*bytes).subspan(first, length); }
    };

    static SparseContent of(Bytes data) {
        SparseContent content;
        const std::uint64_t length = data.size();
        content.append({length, std::make_shared<const Bytes>(std::move(data)), 0});
        return content;
    }
    static SparseContent hole(std::uint64_t length) {
        SparseContent content;
        content.append({length, nullptr, 0});
        return content;
    }

    std::uint64_t size() const { return size_; }
    std::uint64_t data_bytes() const {
        std::uint64_t bytes = 0;
        for (const Piece& piece : pieces_) bytes += piece.hole() ? 0 : piece.length;
        return bytes;
    }
    const std::vector<Piece>& pieces() const { return pieces_; }

    SparseContent slice(std::uint64_t begin, std::uint64_t end) const {
        SparseContent result;
        std::uint64_t at = 0;
        for (const Piece& piece : pieces_) {
            const std::uint64_t from = std::max(begin, at);
            const std::uint64_t to = std::min(end, at + piece.length);
            if (from < to) result.append({to - from, piece.bytes, piece.first + (from - at)});
            at += piece.length;
        }
        return result;
    }
    SparseContent then(const SparseContent& next) const {
        SparseContent result = *this;
        for (const Piece& piece : next.pieces_) result.append(piece);
        return result;
    }
    // [begin, end) replaced; ranges beyond the end of the file are holes.
    SparseContent replaced(std::uint64_t begin, std::uint64_t end, const SparseContent& with) const {
        SparseContent result = slice(0, std::min(begin, size_));
        if (begin > size_) result.append({begin - size_, nullptr, 0});
        return result.then(with).then(slice(std::min(end, size_), size_));
    }

  private:
    void append(const Piece& piece) {
        if (piece.length == 0) return;
        size_ += piece.length;
        if (!pieces_.empty() && piece.hole() && pieces_.back().hole()) {
            pieces_.back().length += piece.length;
        } else {
            pieces_.push_back(piece);
        }
    }
    std::vector<Piece> pieces_;
    std::uint64_t size_ = 0;
};

// Shows a content as a file. Fails with Error(cancelled) once more than `most_reads` reads were made, as an
// interrupted backup would; ends early when it is told a size that the content has not.
class SparseSource final : public ContentSource {
  public:
    explicit SparseSource(const SparseContent& content, std::uint64_t most_reads = UINT64_MAX)
        : content_(content), size_(content.size()), reads_left_(most_reads) {}

    void claim_size(std::uint64_t size) { size_ = size; }
    std::uint64_t bytes_read() const { return bytes_read_; }

    std::uint64_t size_bytes() const override { return size_; }
    std::optional<SourceExtent> next_extent() override {
        if (position_ >= size_) return std::nullopt;
        SourceExtent extent{position_, 0, false};
        if (next_ == content_.pieces().size()) {
            extent.length = size_ - position_; // what the size claims and nobody has
        } else {
            extent.hole = content_.pieces()[next_].hole();
            while (next_ < content_.pieces().size() && content_.pieces()[next_].hole() == extent.hole) {
                extent.length += content_.pieces()[next_++].length;
            }
        }
        position_ += extent.length;
        return extent;
    }
    std::size_t read(std::uint64_t offset, MutableByteView out) override {
        if (reads_left_-- == 0) throw Error(ErrorCode::cancelled, "stopped in the middle of a file");
        std::size_t done = 0;
        const SparseContent wanted = content_.slice(offset, offset + out.size());
        for (const SparseContent::Piece& piece : wanted.pieces()) {
            if (piece.hole()) {
                std::fill_n(out.begin() + static_cast<std::ptrdiff_t>(done), piece.length, Byte{0});
            } else {
                std::ranges::copy(piece.view(), out.begin() + static_cast<std::ptrdiff_t>(done));
            }
            done += piece.length;
        }
        bytes_read_ += done;
        return done;
    }

  private:
    const SparseContent& content_;
    std::uint64_t size_;
    std::uint64_t reads_left_;
    std::uint64_t bytes_read_ = 0;
    std::uint64_t position_ = 0;
    std::size_t next_ = 0;
};

// Keeps what a restore writes.
class CollectingSink final : public ContentSink {
  public:
    void write(std::uint64_t file_offset, ByteView bytes) override {
        const std::scoped_lock lock(mutex_);
        if (!pieces_.emplace(file_offset, Bytes(bytes.begin(), bytes.end())).second)
            problem_ = fmt::format("two pieces at {}", file_offset);
    }
    void done() override { end(""); }
    void failed(const Error& error) override { end(error.message()); }
    void abandoned() override { end("it was abandoned"); }

    // What is wrong with the file that was written, compared with `content`; empty when nothing is. Holes of
    // `hole_unit` bytes and more, which begin and end at multiples of it, must have stayed holes.
    std::string difference(const SparseContent& content, std::uint64_t hole_unit) const {
        if (!problem_.empty()) return problem_;
        if (ends_ != 1) return fmt::format("it was ended {} times", ends_);
        std::uint64_t written_to = 0;
        for (const auto& [offset, bytes] : pieces_) {
            if (offset < written_to) return fmt::format("two pieces overlap at {}", offset);
            written_to = offset + bytes.size();
        }
        if (written_to > content.size()) return fmt::format("it was written up to {}", written_to);
        std::uint64_t at = 0;
        for (const SparseContent::Piece& piece : content.pieces()) {
            const std::string found = piece.hole() ? hole_difference(at, at + piece.length, hole_unit)
                                                   : data_difference(at, piece.view());
            if (!found.empty()) return found;
            at += piece.length;
        }
        return "";
    }

  private:
    void end(const std::string& problem) {
        const std::scoped_lock lock(mutex_);
        ++ends_;
        if (!problem.empty()) problem_ = problem;
    }
    // Calls `take(offset, bytes)` with what was written in [begin, end), in order.
    template <typename Take>
    void for_written(std::uint64_t begin, std::uint64_t end, Take&& take) const {
        auto piece = pieces_.upper_bound(begin);
        if (piece != pieces_.begin()) --piece;
        for (; piece != pieces_.end() && piece->first < end; ++piece) {
            const std::uint64_t from = std::max(begin, piece->first);
            const std::uint64_t to = std::min(end, piece->first + piece->second.size());
            if (from < to) take(from, ByteView(piece->second).subspan(from - piece->first, to - from));
        }
    }
    std::string data_difference(std::uint64_t begin, ByteView bytes) const {
        std::uint64_t covered = begin;
        std::string found;
        for_written(begin, begin + bytes.size(), [&](std::uint64_t offset, ByteView written) {
            if (!found.empty()) return;
            if (offset != covered) {
                found = fmt::format("data at {} was not written", covered);
            } else if (!std::ranges::equal(written, bytes.subspan(offset - begin, written.size()))) {
                found = fmt::format("other bytes between {} and {}", offset, offset + written.size());
            }
            covered = offset + written.size();
        });
        if (found.empty() && covered != begin + bytes.size())
            found = fmt::format("data at {} was not written", covered);
        return found;
    }
    std::string hole_difference(std::uint64_t begin, std::uint64_t end, std::uint64_t unit) const {
        const std::uint64_t hole_begin = (begin + unit - 1) / unit * unit;
        const std::uint64_t hole_end = end / unit * unit;
        std::string found;
        for_written(begin, end, [&](std::uint64_t offset, ByteView written) {
            if (std::ranges::any_of(written, [](Byte byte) { return byte != 0; })) {
                found = fmt::format("a hole is not zero behind {}", offset);
            } else if (hole_begin < hole_end && offset < hole_end && offset + written.size() > hole_begin) {
                found = fmt::format("zeros were written into the hole at {}", offset);
            }
        });
        return found;
    }

    std::mutex mutex_;
    std::map<std::uint64_t, Bytes> pieces_;
    unsigned ends_ = 0;
    std::string problem_;
};

} // namespace holdfast::test
