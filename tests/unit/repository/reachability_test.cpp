#include "repository/node/directory_node.h"
#include "repository/node/file_map_node.h"
#include "repository/node/node.h"
#include "repository/pack/pack_reader.h"
#include "repository/protocol/reachability.h"
#include "support/repository_fixture.h"
#include "support/tiny_backup.h"

#include <gtest/gtest.h>

namespace holdfast {
namespace {

class ReachabilityTest : public RepositoryTest {};

// Two snapshots of a large file share a map; in the second an overlay replaces what the map says.
TEST_F(ReachabilityTest, WhatAnOverlayReplacesIsNotReached) {
    RunContext run = admin->ring.begin_run(random);
    tiny::TinyPack data(run, 0, data_pack);
    tiny::TinyPack metadata(run, 1, metadata_pack);
    const FrameAddress replaced = data.add(tiny::bytes_of(1), BlobType::data, BlobId{});
    const FrameAddress kept = data.add(tiny::bytes_of(2), BlobType::data, BlobId{});
    const FrameAddress replacing = data.add(tiny::bytes_of(3), BlobType::data, BlobId{});
    const std::uint64_t length = tiny::bytes_of(1).size();

    const auto store_node = [&](const Bytes& node) -> NodeRef {
        const NodeId id = node_id(node);
        return {id, {metadata.add(node, BlobType::node, id), 0, static_cast<std::uint32_t>(node.size())}};
    };
    const std::vector<PageSignature> signatures(1);
    const NodeRef map = store_node(encode_map({{0, length, replaced, 0}, {page_bytes, length, kept, 0}}));
    const NodeRef overlay = store_node(encode_map_overlay({{0, length, replacing, 0}}));
    const NodeRef pages = store_node(encode_signatures(signatures));
    const auto tree_of = [&](const Segment& segment) {
        TreeEntry file;
        file.name = "large";
        file.type = EntryType::file;
        file.size = page_bytes + length;
        file.content = SegmentGroups{store_node(encode_segment_group(std::span(&segment, 1)))};
        DirectoryLeafBuilder leaf;
        leaf.add(file);
        return store_node(leaf.finish());
    };
    const NodeRef first = tree_of({map, std::nullopt, pages, std::nullopt});
    const NodeRef second = tree_of({map, overlay, pages, std::nullopt});
    data.put(store);
    metadata.put(store);

    PackReader packs(store, admin->ring);
    NodeReader nodes(packs);
    ReachabilityScanner of_second(nodes);
    of_second.add_tree(second);
    EXPECT_FALSE(of_second.frames().contains(replaced));
    EXPECT_TRUE(of_second.frames().contains(kept));
    EXPECT_TRUE(of_second.frames().contains(replacing));
    for (const NodeRef& node : {map, overlay, pages})
        EXPECT_TRUE(of_second.frames().contains(node.location.frame));

    // The map was seen already, but not what it says by itself.
    of_second.add_tree(first);
    EXPECT_TRUE(of_second.frames().contains(replaced));
}

} // namespace
} // namespace holdfast
