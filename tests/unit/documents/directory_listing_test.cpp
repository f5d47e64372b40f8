#include "documents/directory_listing.h"
#include "temporary_tree.h"

#include <algorithm>
#include <random>
#include <set>

#include <dirent.h>
#include <gmock/gmock.h>

namespace holdfast {
namespace {

std::vector<std::string> all_names(DirectoryListing& listing) {
    std::vector<std::string> names;
    while (const auto name = listing.next()) names.emplace_back(*name);
    return names;
}

TEST(DirectoryListing, SortsByBytes) {
    const TemporaryTree tree;
    for (const char* name : {"b", "a", "\xff\xfe", "\xc3\xa4", "B", "a\nb", "a b", ".hidden", "ab"})
        tree.file(name);
    SpillFile spill;
    DirectoryListing listing(tree.fd(), 0, spill);
    EXPECT_EQ(all_names(listing), (std::vector<std::string>{".hidden", "B", "a", "a\nb", "a b", "ab", "b",
                                                            "\xc3\xa4", "\xff\xfe"}));
    EXPECT_FALSE(listing.error());
    EXPECT_FALSE(listing.spilled());
}

TEST(DirectoryListing, AnEmptyDirectoryHasNoNames) {
    const TemporaryTree tree;
    SpillFile spill;
    DirectoryListing listing(tree.fd(), 0, spill);
    EXPECT_EQ(listing.next(), std::nullopt);
    EXPECT_EQ(listing.next(), std::nullopt);
}

TEST(DirectoryListing, KnowsTypes) {
    const TemporaryTree tree;
    tree.directory("d");
    tree.file("f");
    SpillFile spill;
    DirectoryListing listing(tree.fd(), 0, spill);
    EXPECT_EQ(listing.next(), "d");
    EXPECT_THAT(listing.type_hint(), testing::AnyOf(DT_DIR, DT_UNKNOWN));
    EXPECT_EQ(listing.next(), "f");
    EXPECT_THAT(listing.type_hint(), testing::AnyOf(DT_REG, DT_UNKNOWN));
}

TEST(DirectoryListing, ManyNamesAreMergedFromDiskInBoundedMemory) {
    const TemporaryTree tree;
    std::mt19937_64 random(7);
    std::set<std::string> expected;
    while (expected.size() < 20'000) {
        std::string name(1 + random() % 120, 'x');
        for (char& byte : name) {
            byte = static_cast<char>(1 + random() % 255);
            if (byte == '/') byte = '!';
        }
        if (name == "." || name == "..") continue;
        if (!expected.insert(name).second) continue;
        const FileDescriptor out(::openat(tree.fd(), name.c_str(), O_WRONLY | O_CREAT, 0600));
        ASSERT_TRUE(out);
    }
    SpillFile spill(tree.path());
    {
        DirectoryListing listing(tree.fd(), 64 * 1024, spill);
        EXPECT_TRUE(listing.spilled());
        EXPECT_GT(spill.end(), 0U);
        EXPECT_LT(listing.memory_bytes(), 400'000U); // all names together take 1.2 MB
        DirectoryListing moved = std::move(listing);
        EXPECT_EQ(all_names(moved), std::vector<std::string>(expected.begin(), expected.end()));
    }
    EXPECT_EQ(spill.end(), 0U); // given back
}

TEST(DirectoryListing, ReportsWhatIsNoDirectory) {
    const TemporaryTree tree;
    tree.file("f");
    const FileDescriptor file = open_file(tree.path("f"), O_RDONLY);
    SpillFile spill;
    DirectoryListing listing(file.get(), 0, spill);
    EXPECT_EQ(listing.next(), std::nullopt);
    ASSERT_TRUE(listing.error());
    EXPECT_EQ(listing.error()->code(), ErrorCode::io);
}

TEST(SpillFile, SaysWhereItCannotBeMade) {
    SpillFile spill("/nonexistent-directory");
    EXPECT_EQ(thrown_code([&] { spill.append(as_bytes("x")); }), ErrorCode::not_found);
}

} // namespace
} // namespace holdfast
