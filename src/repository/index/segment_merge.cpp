#include "repository/index/segment_merge.h"

#include "base/error.h"

#include <algorithm>
#include <bit>
#include <map>
#include <queue>

namespace holdfast {

namespace {

struct Head {
    IndexEntry entry;
    std::size_t input = 0;
    bool operator>(const Head& other) const {
        return std::tie(entry, input) > std::tie(other.entry, other.input);
    }
};

class Merge {
  public:
    Merge(const std::vector<std::shared_ptr<SegmentReader>>& inputs,
          const std::function<SegmentIdentity()>& next_identity, const std::function<void(SegmentBody)>& put,
          const SegmentMergeOptions& options)
        : next_identity_(next_identity), put_(put), options_(options) {
        cursors_.reserve(inputs.size());
        for (const auto& input : inputs)
            cursors_.emplace_back(*input, options.read_ahead_bytes / inputs.size());
        for (std::size_t input = 0; input < cursors_.size(); ++input) advance(input);
    }

    SegmentMergeResult run(const std::function<bool(const IndexEntry&)>& keep, const std::stop_token& stop) {
        while (!heads_.empty()) {
            const Head head = heads_.top();
            heads_.pop();
            advance(head.input);
            ++result_.read;
            if (result_.read % 65536 == 0) {
                note_memory();
                if (stop.stop_requested())
                    throw Error(ErrorCode::cancelled, "merging index segments was stopped");
            }
            if (keep(head.entry)) {
                write(head.entry);
            } else {
                ++result_.dropped;
            }
        }
        close();
        return result_;
    }

  private:
    void advance(std::size_t input) {
        if (auto entry = cursors_[input].next()) heads_.push({.entry = *entry, .input = input});
    }

    void write(const IndexEntry& entry) {
        if (locations_.empty() || entry.id != id_) {
            // Only between ids, so that an id's entries are in one segment.
            if (writer_ && writer_->entries() >= options_.entries_per_segment) close();
            id_ = entry.id;
            locations_.clear();
        }
        // Within a segment equal ids may stand in any order, so a repetition need not be next to its like.
        const bool repeated =
            std::find(locations_.begin(), locations_.end(), entry.location) != locations_.end();
        if (repeated || locations_.size() == options_.most_locations) {
            ++result_.repeated;
            return;
        }
        locations_.push_back(entry.location);
        if (!writer_) writer_.emplace(next_identity_(), options_.writer);
        writer_->add(entry);
        ++result_.written;
    }

    void close() {
        if (!writer_) return;
        note_memory();
        put_(writer_->finish());
        writer_.reset();
        ++result_.segments;
    }

    void note_memory() {
        std::size_t bytes = heads_.size() * sizeof(Head) + locations_.capacity() * sizeof(BlobLocation);
        for (const SegmentCursor& cursor : cursors_) bytes += cursor.memory_bytes();
        if (writer_) bytes += writer_->memory_bytes();
        result_.largest_memory_bytes = std::max(result_.largest_memory_bytes, bytes);
    }

    const std::function<SegmentIdentity()>& next_identity_;
    const std::function<void(SegmentBody)>& put_;
    const SegmentMergeOptions& options_;
    std::vector<SegmentCursor> cursors_;
    std::priority_queue<Head, std::vector<Head>, std::greater<>> heads_;
    std::optional<SegmentWriter> writer_;
    BlobId id_{};
    std::vector<BlobLocation> locations_; // of id_, already written
    SegmentMergeResult result_;
};

} // namespace

SegmentMergeResult merge_segments(const std::vector<std::shared_ptr<SegmentReader>>& inputs,
                                  const std::function<bool(const IndexEntry&)>& keep,
                                  const std::function<SegmentIdentity()>& next_identity,
                                  const std::function<void(SegmentBody)>& put,
                                  const SegmentMergeOptions& options, std::stop_token stop) {
    if (inputs.empty()) return {};
    return Merge(inputs, next_identity, put, options).run(keep, stop);
}

std::vector<std::size_t> choose_segments_to_merge(const std::vector<std::uint64_t>& entries,
                                                  std::size_t fan_in, std::uint64_t full_entries) {
    // Sizes within a factor of eight are one class; the smallest class that is full goes first.
    std::map<std::uint64_t, std::vector<std::size_t>> classes;
    for (std::size_t i = 0; i < entries.size(); ++i) {
        if (entries[i] < full_entries)
            classes[static_cast<std::uint64_t>(std::bit_width(entries[i])) / 3].push_back(i);
    }
    for (const auto& [size_class, members] : classes) {
        if (members.size() >= std::max<std::size_t>(fan_in, 2)) return members;
    }
    return {};
}

} // namespace holdfast
