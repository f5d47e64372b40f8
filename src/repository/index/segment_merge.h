// Makes few large segments of many small ones, and leaves out entries that are gone.
#pragma once

#include "repository/index/segment_reader.h"
#include "repository/index/segment_writer.h"

#include <functional>
#include <stop_token>

namespace holdfast {

struct SegmentMergeOptions {
    // An output is closed when it has this many.
    std::uint64_t entries_per_segment = 4'000'000;
    // For reading ahead in all inputs together.
    std::size_t read_ahead_bytes = std::size_t{8} << 20;
    // Equal ids with different locations are all kept, up to this many: a hostile writer could name one id a
    // million times.
    std::size_t most_locations = 64;
    SegmentWriterOptions writer{};
};

struct SegmentMergeResult {
    std::uint64_t read = 0;
    std::uint64_t written = 0;
    std::uint64_t dropped = 0;  // `keep` said no
    std::uint64_t repeated = 0; // equal in everything to one that was kept, or beyond most_locations
    std::uint64_t segments = 0;
    // The most memory that the merge held at any time, apart from the readers.
    std::size_t largest_memory_bytes = 0;
};

// Streams the entries of all `inputs` in order of their ids. Each output gets the identity that
// `next_identity` gives, and goes to `put` when it is finished, before the next one begins. No output is
// empty. Memory is bounded by the options, plus for each output its pack table, and eight bytes for each
// hundred entries. Throws what the inputs and the functions throw; what `put` was given before stays valid.
// Throws Error(cancelled) when `stop` is requested.
SegmentMergeResult merge_segments(const std::vector<std::shared_ptr<SegmentReader>>& inputs,
                                  const std::function<bool(const IndexEntry&)>& keep,
                                  const std::function<SegmentIdentity()>& next_identity,
                                  const std::function<void(SegmentBody)>& put,
                                  const SegmentMergeOptions& options = {}, std::stop_token stop = {});

// Which segments to merge next, given their numbers of entries: positions in `entries`, or none when all is
// well. Small segments are merged when there are `fan_in` of about one size, so that each entry is rewritten
// only about log(entries) times; segments of `full_entries` or more are left alone.
std::vector<std::size_t> choose_segments_to_merge(const std::vector<std::uint64_t>& entries,
                                                  std::size_t fan_in = 8,
                                                  std::uint64_t full_entries = 3'000'000);

} // namespace holdfast
