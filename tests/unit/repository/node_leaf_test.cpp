// Directory leaves: what is encoded is decoded, and nothing else is.
#include "base/error.h"
#include "repository/node/directory_leaf.h"
#include "support/node_reencode.h"
#include "support/node_samples.h"

#include <set>

#include <gtest/gtest.h>

namespace holdfast {
namespace {

using testing::NodeSamples;
using testing::reencode;
using testing::reencode_leaf;

std::vector<TreeEntry> random_entries(NodeSamples& samples, std::size_t count) {
    std::set<std::string> names;
    while (names.size() < count) names.insert(samples.name());
    std::vector<TreeEntry> entries;
    for (const std::string& name : names) entries.push_back(samples.entry(name));
    return entries;
}

Bytes leaf_of(const std::vector<TreeEntry>& entries) {
    DirectoryLeafBuilder builder;
    for (const TreeEntry& entry : entries) builder.add(entry);
    const std::size_t size = builder.encoded_size();
    Bytes leaf = builder.finish();
    EXPECT_EQ(leaf.size(), size);
    return leaf;
}

std::vector<TreeEntry> entries_of(ByteView leaf) {
    DirectoryLeafReader reader(leaf);
    std::vector<TreeEntry> entries;
    TreeEntry entry; // reused, so that left-overs of an earlier entry would show
    while (reader.next(entry)) entries.push_back(entry);
    EXPECT_EQ(entries.size(), reader.count());
    return entries;
}

ErrorCode code_of(const auto& body) {
    try {
        body();
    } catch (const Error& error) {
        return error.code();
    }
    ADD_FAILURE() << "nothing was thrown";
    return ErrorCode::io;
}

ErrorCode decoding(const Bytes& node) {
    return code_of([&] { entries_of(node); });
}

TreeEntry plain_file(std::string name) {
    TreeEntry entry;
    entry.name = std::move(name);
    entry.mode = 0644;
    entry.user = "root";
    entry.group = "wheel";
    entry.mtime = {-2, 999'999'999};
    entry.ctime = {1'700'000'000, 5};
    entry.inode = 300;
    entry.device = 2049;
    entry.links = 1;
    entry.size = 1000;
    entry.digest.bytes.fill(0x0d);
    PackId pack{{}, 7, data_pack, 2};
    pack.run.bytes.fill(0xaa);
    entry.content = Extents{{100, 900, {pack, 3}, 128}};
    return entry;
}

TEST(DirectoryLeaf, ReturnsRandomEntriesAsTheyWere) {
    for (std::uint64_t seed = 1; seed <= 60; ++seed) {
        NodeSamples samples(seed);
        const std::vector<TreeEntry> entries = random_entries(samples, samples.below(60));
        const Bytes leaf = leaf_of(entries);
        ASSERT_EQ(entries_of(leaf), entries) << "seed " << seed;
        ASSERT_EQ(reencode(leaf), leaf) << "seed " << seed;
    }
}

TEST(DirectoryLeaf, HasTheBytesOfTheFormat) {
    TreeEntry link;
    link.name = "b\xff";
    link.type = EntryType::symlink;
    link.flags = entry_flag::fresh_times;
    link.mode = 0777;
    link.user = "root";
    link.xattrs = {{"user.x", "1"}};
    link.target = "../a";
    const Bytes leaf = leaf_of({plain_file("a"), link});
    EXPECT_EQ(to_hex(leaf), "44" // 'D'
                            "01"
                            "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" // one run
                            "01"
                            "00"
                            "07"
                            "64"
                            "02" // one pack: run 0, seq 7, 'd', class 2
                            "02"
                            "04726f6f74"
                            "05776865656c" // owners: root, wheel
                            "02"           // entries
                            "0161"
                            "66"
                            "00"
                            "a403"
                            "00"
                            "00"
                            "01"
                            "02" // "a", 'f', 0644
                            "03"
                            "ff93ebdc03"
                            "80c49fd50c"
                            "05" // mtime -2 s, ctime
                            "ac02"
                            "8110"
                            "01"
                            "e807" // inode, device, links, size
                            "0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d"
                            "01"
                            "01" // digest, one extent
                            "64"
                            "8407"
                            "00"
                            "03"
                            "8001" // hole 100, length 900, pack 0, frame 3, at 128
                            "0262ff"
                            "6c"
                            "11"
                            "ff03"
                            "00"
                            "00"
                            "01"
                            "00" // "b\xff", 'l'
                            "00"
                            "00"
                            "00"
                            "00"
                            "00"
                            "00"
                            "00"
                            "00" // times, inode, device, links, size
                            "01"
                            "06757365722e78"
                            "0131"         // attribute
                            "042e2e2f61"); // target
    EXPECT_EQ(entries_of(leaf), (std::vector<TreeEntry>{plain_file("a"), link}));
    EXPECT_EQ(to_hex(leaf_of({})), "4400000000");
}

TEST(DirectoryLeaf, EveryTruncationIsCorrupt) {
    NodeSamples samples(3);
    const Bytes leaf = leaf_of(random_entries(samples, 12));
    for (std::size_t size = 0; size < leaf.size(); ++size)
        ASSERT_EQ(decoding(Bytes(leaf.begin(), leaf.begin() + static_cast<std::ptrdiff_t>(size))),
                  ErrorCode::corrupt)
            << size;
    Bytes longer = leaf;
    longer.push_back(0);
    EXPECT_EQ(decoding(longer), ErrorCode::corrupt);
}

TEST(DirectoryLeaf, EveryChangedByteIsCorruptOrAnotherLeaf) {
    NodeSamples samples(4);
    const Bytes leaf = leaf_of(random_entries(samples, 5));
    std::size_t refused = 0;
    for (std::size_t place = 0; place < leaf.size(); ++place) {
        for (unsigned change = 1; change < 256; ++change) {
            Bytes changed = leaf;
            changed[place] ^= static_cast<Byte>(change);
            try {
                ASSERT_EQ(reencode_leaf(changed), changed) << place << " " << change;
            } catch (const Error& error) {
                ASSERT_EQ(error.code(), ErrorCode::corrupt)
                    << place << " " << change << ": " << error.message();
                ++refused;
            }
        }
    }
    EXPECT_GT(refused, leaf.size());
}

TEST(DirectoryLeaf, TheBuilderRefusesWhatTheFormatForbids) {
    const auto adding = [](TreeEntry entry) {
        return code_of([&] {
            DirectoryLeafBuilder builder;
            builder.add(plain_file("m"));
            builder.add(entry);
        });
    };
    for (const char* name : {"", "a", "m", ".", "..", "z/z"})
        EXPECT_EQ(adding(plain_file(name)), ErrorCode::internal) << name;
    EXPECT_EQ(adding(plain_file(std::string("z\0", 2))), ErrorCode::internal);
    EXPECT_EQ(adding(plain_file(std::string(max_name_bytes + 1, 'z'))), ErrorCode::internal);
    const auto changed = [&](auto change) {
        TreeEntry entry = plain_file("z");
        change(entry);
        return adding(entry);
    };
    EXPECT_EQ(changed([](TreeEntry& e) { e.mode = 010000; }), ErrorCode::internal);
    EXPECT_EQ(changed([](TreeEntry& e) { e.flags = 1; }), ErrorCode::internal);
    EXPECT_EQ(changed([](TreeEntry& e) { e.flags = 32; }), ErrorCode::internal);
    EXPECT_EQ(changed([](TreeEntry& e) { e.mtime.nanoseconds = 1'000'000'000; }), ErrorCode::internal);
    EXPECT_EQ(changed([](TreeEntry& e) { e.size = 999; }), ErrorCode::internal);
    EXPECT_EQ(changed([](TreeEntry& e) { e.content = std::monostate(); }), ErrorCode::internal);
    EXPECT_EQ(changed([](TreeEntry& e) { e.content = SegmentGroups(); }), ErrorCode::internal);
    EXPECT_EQ(changed([](TreeEntry& e) { e.xattrs = {{"b", ""}, {"a", ""}}; }), ErrorCode::internal);
    EXPECT_EQ(changed([](TreeEntry& e) { e.xattrs = {{"", ""}}; }), ErrorCode::internal);
    EXPECT_EQ(changed([](TreeEntry& e) { e.type = EntryType::symlink; }), ErrorCode::internal);
    EXPECT_EQ(changed([](TreeEntry& e) { std::get<Extents>(e.content)[0].frame.pack.kind = metadata_pack; }),
              ErrorCode::internal);
    EXPECT_EQ(changed([](TreeEntry& e) { std::get<Extents>(e.content)[0].frame_offset = max_frame_bytes; }),
              ErrorCode::internal);
    EXPECT_EQ(changed([](TreeEntry& e) { e.content = Extents{Extent::hole(0, 10)}; }), ErrorCode::internal);
    EXPECT_EQ(changed([](TreeEntry& e) { e.xattrs = {{"user.big", std::string(max_entry_bytes, 'x')}}; }),
              ErrorCode::unsupported);
}

// Hand-made leaves that say something allowed in a way that is not the only one.
TEST(DirectoryLeaf, TablesHaveOneForm) {
    const std::string entry = "0170"
                              "70"
                              "00"
                              "00"
                              "00"
                              "00"
                              "00"
                              "00"
                              "0000"
                              "0000"
                              "00"
                              "00"
                              "01"
                              "00";
    EXPECT_EQ(entries_of(from_hex("44"
                                  "00"
                                  "00"
                                  "00"
                                  "01" +
                                  entry))
                  .size(),
              1U);
    EXPECT_EQ(decoding(from_hex("44"
                                "00"
                                "00"
                                "01"
                                "0161"
                                "01" +
                                entry)),
              ErrorCode::corrupt)
        << "an owner unused";
    EXPECT_EQ(decoding(from_hex("44"
                                "01" +
                                std::string(32, 'a') +
                                "00"
                                "00"
                                "01" +
                                entry)),
              ErrorCode::corrupt)
        << "a run unused";
    EXPECT_EQ(decoding(from_hex("44"
                                "01" +
                                std::string(32, 'a') +
                                "01"
                                "00006400"
                                "00"
                                "01" +
                                entry)),
              ErrorCode::corrupt)
        << "a pack unused";
    const std::string by = "0170"
                           "70"
                           "00"
                           "00"
                           "00"
                           "00";
    const std::string rest = "0000"
                             "0000"
                             "00"
                             "00"
                             "01"
                             "00";
    EXPECT_EQ(entries_of(from_hex("44"
                                  "00"
                                  "00"
                                  "02"
                                  "0161"
                                  "0162"
                                  "01" +
                                  by + "0102" + rest))
                  .size(),
              1U);
    EXPECT_EQ(decoding(from_hex("44"
                                "00"
                                "00"
                                "02"
                                "0161"
                                "0162"
                                "01" +
                                by + "0201" + rest)),
              ErrorCode::corrupt)
        << "owners not in the order of their use";
    EXPECT_EQ(decoding(from_hex("44"
                                "00"
                                "00"
                                "02"
                                "0161"
                                "0161"
                                "01" +
                                by + "0102" + rest)),
              ErrorCode::corrupt)
        << "an owner twice";
    EXPECT_EQ(decoding(from_hex("44"
                                "00"
                                "00"
                                "00"
                                "02" +
                                entry + entry)),
              ErrorCode::corrupt)
        << "a name twice";
    EXPECT_EQ(decoding(from_hex("44"
                                "00"
                                "00"
                                "00"
                                "ffffffffffffffffff01")),
              ErrorCode::corrupt)
        << "a hostile count";
}

} // namespace
} // namespace holdfast
