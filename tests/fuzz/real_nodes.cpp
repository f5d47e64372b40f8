#include "fuzz/real_inputs.h"
#include "repository/node/directory_node.h"
#include "support/node_samples.h"

#include <set>

namespace holdfast {

namespace {

using testing::NodeSamples;

Bytes leaf(NodeSamples& samples, std::size_t entries) {
    std::set<std::string> names;
    while (names.size() < entries) names.insert(samples.name(20));
    DirectoryLeafBuilder builder;
    for (const std::string& name : names) builder.add(samples.entry(name));
    return builder.finish();
}

// One entry of each type, with nothing unusual about it.
Bytes plain_leaf(NodeSamples& samples) {
    DirectoryLeafBuilder builder;
    for (const EntryType type : {EntryType::block_device, EntryType::character_device, EntryType::directory,
                                 EntryType::file, EntryType::symlink, EntryType::fifo, EntryType::socket}) {
        TreeEntry entry;
        entry.type = type;
        entry.name = std::string("entry-") + static_cast<char>(type);
        entry.mode = 0644;
        entry.user = entry.group = "root";
        entry.links = 1;
        if (type == EntryType::directory) entry.children = samples.reference();
        if (type == EntryType::symlink) entry.target = "elsewhere";
        builder.add(entry);
    }
    return builder.finish();
}

Bytes index(NodeSamples& samples, std::size_t children) {
    std::set<std::string> names;
    while (names.size() < children) names.insert(samples.name(20));
    DirectoryIndexBuilder builder;
    for (const std::string& name : names) builder.add({name, samples.reference()});
    return builder.finish();
}

Bytes group(NodeSamples& samples, std::size_t count) {
    std::vector<Segment> segments(count);
    for (Segment& segment : segments) {
        segment.map = samples.reference();
        segment.signatures = samples.reference();
        if (samples.one_in(2)) segment.map_overlay = samples.reference();
        if (samples.one_in(2)) segment.signature_overlay = samples.reference();
    }
    return encode_segment_group(segments);
}

PageSignature signature(NodeSamples& samples) {
    PageSignature made{};
    if (!samples.one_in(3)) made.bytes.fill(static_cast<Byte>(samples.below(256)));
    return made;
}

Bytes pages(NodeSamples& samples, std::size_t count) {
    std::vector<PageSignature> signatures(count);
    for (PageSignature& page : signatures) page = signature(samples);
    return encode_signatures(signatures);
}

Bytes page_changes(NodeSamples& samples, std::size_t count) {
    std::vector<PageChange> changes;
    std::uint32_t page = 0;
    for (std::size_t i = 0; i < count; ++i) {
        page += static_cast<std::uint32_t>(1 + samples.below(7));
        changes.push_back({page, signature(samples)});
    }
    return encode_signature_overlay(changes);
}

// As segment_fuzz.cpp reads it.
Bytes over_each_other(Byte kind, const Bytes& base, const Bytes& overlay) {
    Bytes bytes = selected({kind, static_cast<Byte>(base.size()), static_cast<Byte>(base.size() >> 8)}, base);
    bytes.insert(bytes.end(), overlay.begin(), overlay.end());
    return bytes;
}

} // namespace

void add_nodes(std::vector<RealInput>& inputs) {
    NodeSamples samples(1);
    const Bytes map = encode_map(samples.extents(segment_bytes, false));
    const Bytes overlay = encode_map_overlay(samples.extents(segment_bytes, true));
    const Bytes signatures = pages(samples, 30);
    const Bytes changes = page_changes(samples, 6);
    inputs.push_back({"node", "leaf-empty", DirectoryLeafBuilder().finish()});
    inputs.push_back({"node", "leaf-each-type", plain_leaf(samples)});
    for (const std::size_t count : {1U, 5U, 20U}) {
        inputs.push_back({"node", "leaf-" + std::to_string(count), leaf(samples, count)});
    }
    inputs.push_back({"node", "index", index(samples, 6)});
    inputs.push_back({"node", "segment-group", group(samples, 5)});
    inputs.push_back({"node", "map-empty", encode_map({})});
    inputs.push_back({"node", "map", map});
    inputs.push_back({"node", "map-overlay", overlay});
    inputs.push_back({"node", "signatures", signatures});
    inputs.push_back({"node", "signature-overlay", changes});
    inputs.push_back({"segment", "map-and-overlay", over_each_other(0, map, overlay)});
    inputs.push_back({"segment", "map-and-overlay-short-file", over_each_other(200, map, overlay)});
    inputs.push_back({"segment", "map-and-empty-overlay", over_each_other(0, map, encode_map_overlay({}))});
    inputs.push_back({"segment", "signatures-and-overlay", over_each_other(1, signatures, changes)});
}

} // namespace holdfast
