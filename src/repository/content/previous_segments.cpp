#include "repository/content/previous_segments.h"

#include "base/error.h"

#include <algorithm>

namespace holdfast {

namespace {

// The segment at the same place, and those where content that has shifted comes from.
constexpr std::size_t kept_segments = 6;

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
    try {
        loaded = load(number);
    } catch (const Error& error) {
        if (error.code() != ErrorCode::corrupt && error.code() != ErrorCode::wrong_key) throw;
    }
    if (recent_.size() >= kept_segments) recent_.erase(recent_.begin());
    recent_.emplace_back(number, loaded);
    return loaded;
}

std::shared_ptr<const PreviousSegment> PreviousSegments::load(std::uint64_t number) {
    const std::uint64_t group_number = number / segments_per_group;
    if (groups_ == nullptr || number >= segments() || group_number >= groups_->size()) return nullptr;
    if (group_number != loaded_group_) {
        group_segments_ = decode_segment_group(nodes_.read((*groups_)[group_number]));
        loaded_group_ = group_number;
    }
    if (number % segments_per_group >= group_segments_.size()) return nullptr;

    auto segment = std::make_shared<PreviousSegment>();
    segment->references = group_segments_[number % segments_per_group];
    const Segment& references = segment->references;
    const std::uint64_t length = std::min(segment_bytes, size_bytes_ - number * segment_bytes);
    segment->length = length;
    segment->usable = usable_(references.map.location.frame) && usable_(references.signatures.location.frame);

    const Bytes map = nodes_.read(references.map);
    segment->base_map_bytes = map.size();
    segment->base_map = decode_map(map);
    std::vector<Extent> overlay;
    if (references.map_overlay) {
        overlay = decode_map_overlay(nodes_.read(*references.map_overlay));
        segment->usable = segment->usable && usable_(references.map_overlay->location.frame);
    }
    segment->map = resolve(segment->base_map, overlay, length);

    const Bytes signatures = nodes_.read(references.signatures);
    segment->base_signature_bytes = signatures.size();
    segment->base_signatures = decode_signatures(signatures);
    std::vector<PageChange> changes;
    if (references.signature_overlay) {
        changes = decode_signature_overlay(nodes_.read(*references.signature_overlay));
        segment->usable = segment->usable && usable_(references.signature_overlay->location.frame);
    }
    segment->signatures = resolve_signatures(segment->base_signatures, changes, pages_of(length));
    return segment;
}

} // namespace holdfast
