#include "repository/index/index_set.h"

#include "base/error.h"

#include <algorithm>

namespace holdfast {

std::shared_ptr<const IndexSet::Segments> IndexSet::current() const {
    const std::scoped_lock lock(segments_mutex_);
    return segments_;
}

void IndexSet::replace(const std::function<void(Segments&)>& change) {
    const std::scoped_lock lock(segments_mutex_);
    auto next = std::make_shared<Segments>(*segments_);
    change(*next);
    // Own ones first, so that a location that needs no check is found before one that does.
    std::stable_partition(next->begin(), next->end(),
                          [](const Segment& segment) { return segment.author == SegmentAuthor::own; });
    segments_ = std::move(next);
}

bool IndexSet::add_segment(const std::shared_ptr<const ByteSource>& body, const SegmentIdentity& identity,
                           SegmentAuthor author) {
    try {
        SegmentReaderOptions options{.load_filter = filter_bytes() < limits_.filter_bytes,
                                     .cached_blocks = limits_.cached_blocks_per_segment};
        auto reader = std::make_shared<SegmentReader>(body, identity, options);
        if (filter_bytes() + reader->filter_bytes() > limits_.filter_bytes && reader->has_filter()) {
            options.load_filter = false;
            reader = std::make_shared<SegmentReader>(body, identity, options);
        }
        replace(
            [&](Segments& segments) { segments.push_back({.reader = std::move(reader), .author = author}); });
        return true;
    } catch (const Error& error) {
        const std::scoped_lock lock(segments_mutex_);
        failed_.push_back(identity.name);
        logger_.warning("index segment left out", {{"segment", identity.name}, {"why", error.message()}});
        return false;
    }
}

void IndexSet::remove_segment(std::string_view name) {
    replace([&](Segments& segments) {
        std::erase_if(segments, [&](const Segment& segment) { return segment.reader->name() == name; });
    });
}

void IndexSet::fail(const SegmentReader& reader, const std::string& why) {
    bool first = false;
    replace([&](Segments& segments) {
        first = std::erase_if(segments,
                              [&](const Segment& segment) { return segment.reader.get() == &reader; }) > 0;
        if (first) failed_.push_back(reader.name());
    });
    if (first) logger_.warning("index segment left out", {{"segment", reader.name()}, {"why", why}});
}

std::vector<std::string> IndexSet::failed_segments() const {
    const std::scoped_lock lock(segments_mutex_);
    return failed_;
}

std::vector<std::shared_ptr<SegmentReader>> IndexSet::segments() const {
    std::vector<std::shared_ptr<SegmentReader>> readers;
    for (const Segment& segment : *current()) readers.push_back(segment.reader);
    return readers;
}

void IndexSet::lookup(const BlobId& id, std::vector<IndexHit>& found) {
    const std::shared_ptr<const Segments> segments = current();
    const BloomProbe probe(id);
    for (const Segment& segment : *segments) segment.reader->prefetch(probe);
    std::vector<IndexEntry> entries;
    for (const Segment& segment : *segments) {
        if (!segment.reader->may_contain(probe)) continue;
        entries.clear();
        try {
            segment.reader->lookup(id, entries);
        } catch (const Error& error) {
            fail(*segment.reader, error.message());
            continue;
        }
        for (const IndexEntry& entry : entries) {
            found.push_back({.location = entry.location, .author = segment.author});
        }
    }
}

IndexSet::Claim IndexSet::claim(const BlobId& id, const std::function<bool(const IndexHit&)>& accept) {
    std::vector<IndexHit> hits;
    for (;;) {
        std::uint64_t spills = 0;
        const auto in_table = [&]() -> std::optional<Claim> {
            const BlobTable::Finding finding = table_.find(id);
            if (finding.state == BlobTable::State::unknown) return std::nullopt;
            return Claim{.result = finding.state == BlobTable::State::placed ? ClaimResult::known
                                                                             : ClaimResult::in_flight,
                         .location = finding.location};
        };
        {
            const std::scoped_lock lock(table_mutex_);
            if (const auto claim = in_table()) return *claim;
            spills = spills_;
        }
        hits.clear();
        lookup(id, hits);
        for (const IndexHit& hit : hits) {
            if (accept(hit)) return {.result = ClaimResult::known, .location = hit.location};
        }
        const std::scoped_lock lock(table_mutex_);
        if (const auto claim = in_table()) return *claim;
        // A blob that was stored and went into a segment meanwhile was seen in neither: look again.
        if (spills != spills_) continue;
        table_.claim(id);
        return {.result = ClaimResult::ours, .location = {}};
    }
}

void IndexSet::place(const BlobId& id, const BlobLocation& location) {
    const std::scoped_lock lock(table_mutex_);
    table_.place(id, location);
    table_changed_.notify_all();
}

void IndexSet::abandon(const BlobId& id) {
    const std::scoped_lock lock(table_mutex_);
    table_.abandon(id);
    table_changed_.notify_all();
}

std::optional<BlobLocation> IndexSet::location(const BlobId& id) const {
    const std::scoped_lock lock(table_mutex_);
    const BlobTable::Finding finding = table_.find(id);
    if (finding.state != BlobTable::State::placed) return std::nullopt;
    return finding.location;
}

std::optional<BlobLocation> IndexSet::wait_until_placed(const BlobId& id, std::stop_token stop) {
    {
        std::unique_lock lock(table_mutex_);
        BlobTable::Finding finding;
        const bool ready = table_changed_.wait(lock, stop, [&] {
            finding = table_.find(id);
            return finding.state != BlobTable::State::claimed;
        });
        if (!ready) return std::nullopt;
        if (finding.state == BlobTable::State::placed) return finding.location;
    }
    std::vector<IndexHit> hits;
    lookup(id, hits);
    for (const IndexHit& hit : hits) {
        if (hit.author == SegmentAuthor::own) return hit.location;
    }
    return std::nullopt;
}

void IndexSet::pack_stored(const PackId& pack) {
    const std::scoped_lock lock(table_mutex_);
    table_.pack_stored(pack);
}

bool IndexSet::spill_due() const {
    const std::scoped_lock lock(table_mutex_);
    return table_.stored_entries() >= limits_.spill_entries;
}

std::vector<IndexEntry> IndexSet::spillable() const {
    const std::scoped_lock lock(table_mutex_);
    return table_.stored();
}

bool IndexSet::spilled(const std::vector<IndexEntry>& entries, const std::shared_ptr<const ByteSource>& body,
                       const SegmentIdentity& identity) {
    if (!add_segment(body, identity, SegmentAuthor::own)) return false;
    const std::scoped_lock lock(table_mutex_);
    table_.remove(entries);
    ++spills_;
    return true;
}

std::size_t IndexSet::filter_bytes() const {
    std::size_t bytes = 0;
    for (const Segment& segment : *current()) bytes += segment.reader->filter_bytes();
    return bytes;
}

std::size_t IndexSet::memory_bytes() const {
    std::size_t bytes = sizeof *this;
    for (const Segment& segment : *current()) bytes += sizeof segment + segment.reader->memory_bytes();
    const std::scoped_lock lock(table_mutex_);
    return bytes + table_.memory_bytes();
}

} // namespace holdfast
