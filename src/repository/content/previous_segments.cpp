#include "repository/content/previous_segments.h"

#include "base/error.h"
#include "repository/node/segment_content.h"

#include <algorithm>

namespace holdfast {

namespace {

// The segment at the same place, and those where content that has shifted comes from.
constexpr std::size_t kept_segments = 6;

template <typename Read>
void unless_unreadable(Read&& read) {
    try {
        read();
    } catch (const Error& error) {
        if (error.code() != ErrorCode::corrupt && error.code() != ErrorCode::wrong_key) throw;
    }
}

} // namespace

PreviousSegments::PreviousSegments(NodeReader& nodes, const TreeEntry* entry, Usable usable)
    : nodes_(nodes), usable_(std::move(usable)) {
    if (entry == nullptr) return;
    groups_ = std::get_if<SegmentGroups>(&entry->content);
    if (groups_ != nullptr) size_bytes_ = entry->size;
}

const NodeRef* PreviousSegments::group(std::uint64_t number) const {
    if (groups_ == nullptr || number >= groups_->size()) return nullptr;
    const NodeRef& reference = (*groups_)[number];
    return usable_(reference.location.frame) ? &reference : nullptr;
}

std::uint64_t PreviousSegments::segments() const {
    return groups_ == nullptr ? 0 : (size_bytes_ + segment_bytes - 1) / segment_bytes;
}

std::shared_ptr<const PreviousSegment> PreviousSegments::segment(std::uint64_t number) {
    for (const auto& [known, segment] : recent_) {
        if (known == number) return segment;
    }
    std::shared_ptr<const PreviousSegment> loaded;
    unless_unreadable([&] { loaded = load(number); });
    if (recent_.size() >= kept_segments) recent_.erase(recent_.begin());
    recent_.emplace_back(number, loaded);
    return loaded;
}

std::vector<Extent> PreviousSegments::map(std::uint64_t number) {
    std::vector<Extent> extents;
    unless_unreadable([&] {
        if (const Segment* segment = references(number))
            extents = extents_of(reading(nodes_), *segment, length_of(number));
    });
    return extents;
}

std::optional<KeptSegment> PreviousSegments::kept(std::uint64_t number, std::uint64_t length) {
    std::optional<KeptSegment> segment;
    unless_unreadable([&] {
        const Segment* known = references(number);
        if (known == nullptr || length != length_of(number) || !all_usable(*known)) return;
        segment = KeptSegment{*known, signatures_of(reading(nodes_), *known, pages_of(length))};
    });
    return segment;
}

std::uint64_t PreviousSegments::length_of(std::uint64_t number) const {
    return std::min(segment_bytes, size_bytes_ - number * segment_bytes);
}

bool PreviousSegments::all_usable(const Segment& references) const {
    const auto usable = [&](const NodeRef& node) { return usable_(node.location.frame); };
    return usable(references.map) && usable(references.signatures) &&
           (!references.map_overlay || usable(*references.map_overlay)) &&
           (!references.signature_overlay || usable(*references.signature_overlay));
}

// Null when the earlier file has no such segment. Valid until another group is asked for.
const Segment* PreviousSegments::references(std::uint64_t number) {
    const std::uint64_t group_number = number / segments_per_group;
    if (groups_ == nullptr || number >= segments() || group_number >= groups_->size()) return nullptr;
    if (group_number != loaded_group_) {
        group_segments_ = decode_segment_group(nodes_.read((*groups_)[group_number]));
        loaded_group_ = group_number;
    }
    if (number % segments_per_group >= group_segments_.size()) return nullptr;
    return &group_segments_[number % segments_per_group];
}

std::shared_ptr<const PreviousSegment> PreviousSegments::load(std::uint64_t number) {
    const Segment* known = references(number);
    if (known == nullptr) return nullptr;
    auto segment = std::make_shared<PreviousSegment>();
    segment->references = *known;
    const Segment& references = segment->references;
    segment->length = length_of(number);
    segment->usable = all_usable(references);

    const Bytes map = nodes_.read(references.map);
    segment->base_map_bytes = map.size();
    segment->base_map = decode_map(map);
    std::vector<Extent> overlay;
    if (references.map_overlay) overlay = decode_map_overlay(nodes_.read(*references.map_overlay));
    segment->map = resolve(segment->base_map, overlay, segment->length);

    const Bytes signatures = nodes_.read(references.signatures);
    segment->base_signature_bytes = signatures.size();
    segment->base_signatures = decode_signatures(signatures);
    std::vector<PageChange> changes;
    if (references.signature_overlay)
        changes = decode_signature_overlay(nodes_.read(*references.signature_overlay));
    segment->signatures = resolve_signatures(segment->base_signatures, changes, pages_of(segment->length));
    return segment;
}

} // namespace holdfast
