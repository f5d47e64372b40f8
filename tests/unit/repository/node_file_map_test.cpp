// Maps, overlays, signatures and segment groups, and what they resolve to.
#include "base/error.h"
#include "repository/node/file_map_node.h"
#include "support/node_reencode.h"
#include "support/node_samples.h"

#include <map>

#include <gtest/gtest.h>

namespace holdfast {
namespace {

using testing::NodeSamples;
using testing::reencode;

// Every truncation and every changed byte is corrupt, or is the one encoding of something else.
void expect_strict(const Bytes& node) {
    ASSERT_EQ(reencode(node), node);
    for (std::size_t size = 0; size < node.size(); ++size) {
        try {
            reencode(ByteView(node).first(size));
            FAIL() << "decoded when cut at " << size;
        } catch (const Error& error) {
            ASSERT_EQ(error.code(), ErrorCode::corrupt);
        }
    }
    for (std::size_t place = 0; place < node.size(); ++place) {
        for (unsigned change = 1; change < 256; ++change) {
            Bytes changed = node;
            changed[place] ^= static_cast<Byte>(change);
            try {
                ASSERT_EQ(reencode(changed), changed) << place << " " << change;
            } catch (const Error& error) {
                ASSERT_EQ(error.code(), ErrorCode::corrupt)
                    << place << " " << change << ": " << error.message();
            }
        }
    }
    Bytes longer = node;
    longer.push_back(0);
    EXPECT_THROW(reencode(longer), Error);
}

FrameAddress frame(std::uint8_t kind, std::uint32_t number) {
    FrameAddress address{{{}, 1, kind, 0}, number};
    address.pack.run.bytes.fill(0xbb);
    return address;
}

NodeRef reference(Byte id, std::uint32_t offset) {
    NodeRef result{{}, {frame(metadata_pack, 2), offset, 16}};
    result.id.bytes.fill(id);
    return result;
}

const std::string run_hex(32, 'b');
std::string id_hex(const char* digits) {
    std::string text;
    for (int i = 0; i < 24; ++i) text += digits;
    return text;
}

TEST(Map, HasTheBytesOfTheFormat) {
    const std::vector<Extent> extents = {{0, 8192, frame(data_pack, 1), 0},
                                         {16384, 100, frame(data_pack, 2), 300}};
    const Bytes node = encode_map(extents);
    EXPECT_EQ(to_hex(node), "4d"
                            "01" +
                                run_hex +
                                "01"
                                "00016400"
                                "02"
                                "00"
                                "8040"
                                "00"
                                "01"
                                "00"
                                "8040"
                                "64"
                                "00"
                                "02"
                                "ac02");
    EXPECT_EQ(decode_map(node), extents);
    EXPECT_EQ(to_hex(encode_map({})), "4d000000") << "a segment that is a hole";
}

TEST(MapOverlay, HasTheBytesOfTheFormat) {
    const std::vector<Extent> extents = {Extent::hole(0, 8192), {8192, 10, frame(data_pack, 1), 0}};
    const Bytes node = encode_map_overlay(extents);
    EXPECT_EQ(to_hex(node), "4f"
                            "01" +
                                run_hex +
                                "01"
                                "00016400"
                                "02"
                                "00"
                                "8040"
                                "00"
                                "ffffffff0f"
                                "00"
                                "00"
                                "0a"
                                "00"
                                "01"
                                "00");
    EXPECT_EQ(decode_map_overlay(node), extents);
    const Bytes only_holes = encode_map_overlay({Extent::hole(8192, segment_bytes - 8192)});
    EXPECT_EQ(to_hex(only_holes), "4f"
                                  "00"
                                  "00"
                                  "01"
                                  "8040"
                                  "80c0ff1f"
                                  "00"
                                  "ffffffff0f"
                                  "00")
        << "no pack is named";
    EXPECT_EQ(decode_map_overlay(only_holes), std::vector{Extent::hole(8192, segment_bytes - 8192)});
}

TEST(Map, ReturnsRandomExtentsAsTheyWere) {
    for (std::uint64_t seed = 1; seed <= 50; ++seed) {
        NodeSamples samples(seed);
        const auto map = samples.extents(segment_bytes, false, 300);
        const auto overlay = samples.extents(segment_bytes, true, 300);
        ASSERT_EQ(decode_map(encode_map(map)), map) << seed;
        ASSERT_EQ(decode_map_overlay(encode_map_overlay(overlay)), overlay) << seed;
    }
}

TEST(Map, IsRefusedWhenDamaged) {
    NodeSamples samples(8);
    expect_strict(encode_map(samples.extents(segment_bytes, false, 20)));
    expect_strict(encode_map_overlay(samples.extents(segment_bytes, true, 20)));
}

TEST(Map, TheEncoderRefusesWhatTheFormatForbids) {
    const Extent good{100, 100, frame(data_pack, 1), 0};
    EXPECT_NO_THROW(encode_map({good}));
    EXPECT_THROW(encode_map({Extent::hole(0, 1)}), Error) << "a hole is a gap in a map";
    EXPECT_THROW(encode_map({good, {199, 1, frame(data_pack, 1), 0}}), Error) << "overlapping";
    EXPECT_THROW(encode_map({{0, 0, frame(data_pack, 1), 0}}), Error) << "empty";
    EXPECT_THROW(encode_map({{0, max_frame_bytes + 1, frame(data_pack, 1), 0}}), Error)
        << "longer than a frame";
    EXPECT_THROW(encode_map({{segment_bytes - 1, 2, frame(data_pack, 1), 0}}), Error) << "beyond the segment";
    EXPECT_THROW(encode_map({{0, 1, frame(metadata_pack, 1), 0}}), Error) << "in a metadata pack";
    EXPECT_THROW(encode_map({{0, 1, frame('x', 1), 0}}), Error) << "in a pack of no kind";
}

// The largest map that 4 KiB pieces in as many packs can make still is a node.
TEST(Map, OfTheMostScatteredSegmentFitsANode) {
    std::vector<Extent> extents;
    for (std::uint32_t i = 0; i < segment_bytes / 4096; ++i) {
        const PackId pack{{}, 0xffff0000U + i, data_pack, 0};
        extents.push_back({i * 4096ULL, 4096, {pack, 0xfffffff0U}, max_frame_bytes - 4096});
    }
    const Bytes node = encode_map(extents);
    EXPECT_LE(node.size(), max_node_bytes);
    EXPECT_EQ(decode_map(node), extents);
}

// A segment as bytes: which byte of which frame each one is; nothing where it is a hole or unsaid.
struct Origin {
    FrameAddress frame;
    std::uint64_t offset = 0;
    bool operator==(const Origin&) const = default;
};
using Model = std::map<std::uint64_t, Origin>;

void apply(Model& model, const std::vector<Extent>& extents) {
    for (const Extent& extent : extents)
        for (std::uint64_t i = 0; i < extent.length; ++i)
            model[extent.file_offset + i] = {extent.frame, extent.is_hole() ? 0 : extent.frame_offset + i};
}
void drop(Model& model, bool holes, std::uint64_t length) {
    std::erase_if(model, [&](const auto& byte) {
        return byte.first >= length || (holes && byte.second.frame.frame == Extent::hole_frame);
    });
}
Model model_of(const std::vector<Extent>& extents) {
    Model model;
    apply(model, extents);
    return model;
}

TEST(Resolve, GivesWhatTheBytesSay) {
    for (std::uint64_t seed = 1; seed <= 400; ++seed) {
        NodeSamples samples(seed);
        const auto map = samples.extents(2'000, false, 20, 150);
        const auto overlay = samples.extents(2'000, true, 20, 100);
        const auto newer = samples.extents(2'000, true, 20, 100);
        const std::uint64_t length = samples.one_in(2) ? segment_bytes : samples.below(2'000);

        Model expected = model_of(map);
        apply(expected, overlay);
        drop(expected, true, length);
        const auto resolved = resolve(map, overlay, length);
        ASSERT_EQ(model_of(resolved), expected) << "seed " << seed;
        ASSERT_EQ(decode_map(encode_map(resolved)), resolved) << "seed " << seed;

        Model merged = model_of(overlay);
        apply(merged, newer);
        const auto both = merge_overlays(overlay, newer);
        ASSERT_EQ(model_of(both), merged) << "seed " << seed;
        ASSERT_EQ(resolve(map, both, length), resolve(resolve(map, overlay), newer, length))
            << "seed " << seed;
    }
}

TEST(Resolve, JoinsWhatContinues) {
    const std::vector<Extent> map = {{0, 100, frame(data_pack, 1), 0}, {100, 100, frame(data_pack, 1), 100}};
    EXPECT_EQ(resolve(map, {}), (std::vector<Extent>{{0, 200, frame(data_pack, 1), 0}}));
    const std::vector<Extent> split = {{0, 50, frame(data_pack, 1), 0},
                                       {50, 20, frame(data_pack, 9), 5},
                                       {70, 130, frame(data_pack, 1), 70}};
    EXPECT_EQ(resolve(map, {{50, 20, frame(data_pack, 9), 5}}), split);
    const std::vector<Extent> hole = {{0, 50, frame(data_pack, 1), 0}, {70, 130, frame(data_pack, 1), 70}};
    EXPECT_EQ(resolve(map, {Extent::hole(50, 20)}), hole);
}

TEST(Folding, IsDueAboveHalfOfTheBase) {
    EXPECT_FALSE(wants_folding(1000, 500, 500));
    EXPECT_TRUE(wants_folding(1000, 501, 501));
    EXPECT_TRUE(wants_folding(4, 40, 40));
    for (std::size_t same = 1; same <= 500; ++same) EXPECT_FALSE(wants_folding(1000, same, same)) << same;
}

// Storing an overlay that grows by `growth` with each backup, or a new base when it is due: no fixed number
// of overlays in between stores less.
TEST(Folding, IsDueWhenThatStoresLeast) {
    constexpr std::size_t base = 131'072;
    for (const std::size_t growth : {20U, 500U, 1'640U, 8'000U}) {
        const auto stored_by_backup = [&](std::size_t overlays) {
            return (base + growth * overlays * (overlays + 1) / 2) / (overlays + 1);
        };
        std::size_t overlays = 0;
        while (!wants_folding(base, (overlays + 1) * growth, growth)) ++overlays;
        std::size_t best = base;
        for (std::size_t other = 0; other * growth <= base / 2; ++other)
            best = std::min(best, stored_by_backup(other));
        EXPECT_LE(stored_by_backup(overlays), best + best / 50) << growth;
    }
}

TEST(Signatures, HaveTheBytesOfTheFormat) {
    std::vector<PageSignature> pages(2);
    pages[0].bytes.fill(0x22);
    const Bytes node = encode_signatures(pages);
    EXPECT_EQ(to_hex(node), "50"
                            "00"
                            "00"
                            "02" +
                                std::string(32, '2') + std::string(32, '0'));
    EXPECT_EQ(decode_signatures(node), pages);

    const std::vector<PageChange> changes = {{3, pages[0]}, {4, pages[1]}, {8191, pages[0]}};
    const Bytes overlay = encode_signature_overlay(changes);
    EXPECT_EQ(to_hex(overlay), "51"
                               "00"
                               "00"
                               "03"
                               "03" +
                                   std::string(32, '2') + "00" + std::string(32, '0') + "fa3f" +
                                   std::string(32, '2'));
    EXPECT_EQ(decode_signature_overlay(overlay), changes);
}

TEST(Signatures, AreRefusedWhenDamaged) {
    std::vector<PageSignature> pages(5);
    pages[2].bytes.fill(1);
    expect_strict(encode_signatures(pages));
    const std::vector<PageChange> changes = {{0, pages[0]}, {7, pages[2]}, {8190, pages[0]}};
    expect_strict(encode_signature_overlay(changes));

    EXPECT_THROW(encode_signatures(std::vector<PageSignature>(8193)), Error);
    EXPECT_EQ(decode_signatures(encode_signatures(std::vector<PageSignature>(8192))).size(), 8192U);
    EXPECT_THROW(encode_signature_overlay(std::vector<PageChange>{{1, {}}, {1, {}}}), Error);
    EXPECT_THROW(encode_signature_overlay(std::vector<PageChange>{{8192, {}}}), Error);
    const std::string signature(32, '0');
    EXPECT_THROW(decode_signature_overlay(from_hex("51"
                                                   "0000"
                                                   "02"
                                                   "ff3f" +
                                                   signature + "00" + signature)),
                 Error)
        << "a page behind the last";
}

TEST(Signatures, OverlaysWin) {
    for (std::uint64_t seed = 1; seed <= 100; ++seed) {
        SeededRandom random(seed);
        const auto changes = [&] {
            std::vector<PageChange> result;
            for (std::uint32_t page = 0; page < 60; ++page)
                if (random.below(4) == 0) result.push_back({page, random.id<16>()});
            return result;
        };
        std::vector<PageSignature> base(random.below(60));
        for (PageSignature& page : base) page = random.id<16>();
        const auto older = changes();
        const auto newer = changes();
        const std::size_t pages = random.below(70);

        std::vector<PageSignature> expected(70);
        std::copy(base.begin(), base.end(), expected.begin());
        for (const auto* layer : {&older, &newer})
            for (const PageChange& change : *layer) expected[change.page] = change.signature;
        expected.resize(pages);
        const auto merged = merge_signature_overlays(older, newer);
        ASSERT_EQ(decode_signature_overlay(encode_signature_overlay(merged)), merged);
        ASSERT_EQ(resolve_signatures(base, merged, pages),
                  pages == 0 ? std::vector<PageSignature>() : expected);
    }
}

TEST(SegmentGroup, HasTheBytesOfTheFormat) {
    const std::vector<Segment> segments = {
        {reference(0x01, 0), std::nullopt, reference(0x02, 16), std::nullopt},
        {reference(0x01, 0), reference(0x03, 32), reference(0x02, 16), reference(0x04, 48)},
    };
    const Bytes node = encode_segment_group(segments);
    const std::string first = id_hex("01") + "00"
                                             "02"
                                             "00"
                                             "10";
    const std::string second = id_hex("02") + "00"
                                              "02"
                                              "10"
                                              "10";
    EXPECT_EQ(to_hex(node), "47"
                            "01" +
                                run_hex +
                                "01"
                                "00016d00"
                                "02"
                                "00" +
                                first + second + "03" + first + id_hex("03") +
                                "00"
                                "02"
                                "20"
                                "10" +
                                second + id_hex("04") +
                                "00"
                                "02"
                                "30"
                                "10");
    EXPECT_EQ(decode_segment_group(node), segments);
    expect_strict(node);
}

TEST(SegmentGroup, HasOneToAThousandAndTwentyFourSegments) {
    NodeSamples samples(2, 50);
    std::vector<Segment> segments(segments_per_group);
    for (Segment& segment : segments)
        segment = {samples.reference(), samples.reference(), samples.reference(), samples.reference()};
    const Bytes node = encode_segment_group(segments);
    EXPECT_LE(node.size(), max_node_bytes);
    EXPECT_EQ(decode_segment_group(node), segments);
    segments.push_back(segments[0]);
    EXPECT_THROW(encode_segment_group(segments), Error);
    EXPECT_THROW(encode_segment_group({}), Error);
    EXPECT_THROW(decode_segment_group(from_hex("47000000")), Error);
}

TEST(Node, IsKnownByItsFirstByteAndItsHash) {
    EXPECT_EQ(node_kind(from_hex("4d000000")), NodeKind::map);
    EXPECT_THROW(node_kind({}), Error);
    EXPECT_THROW(node_kind(from_hex("58")), Error);
    EXPECT_THROW(node_kind(Bytes(max_node_bytes + 1, 'D')), Error);
    EXPECT_NE(node_id(from_hex("4d000000")), node_id(from_hex("4d000001")));
    EXPECT_EQ(node_id(from_hex("4400000000")).hex(), "c18f3902c228909be2e154a7bd26b6230666280d2d47dcd6");
}

} // namespace
} // namespace holdfast
