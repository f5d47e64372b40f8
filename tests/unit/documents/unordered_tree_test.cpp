#include "documents/backup/unordered_tree.h"
#include "repository/node/directory_node.h"
#include "support/tree_fixture.h"

#include <algorithm>
#include <random>

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace holdfast {
namespace {

class UnorderedTreeTest : public test::TreeFixture {
  protected:
    static std::vector<std::string> shuffled_names(int count) {
        std::vector<std::string> names;
        for (int i = 0; i < count; ++i) names.push_back(fmt::format("{}", i * 7));
        std::ranges::shuffle(names, std::mt19937(1));
        return names;
    }
    NodeRef ordered(std::vector<std::string> names) {
        std::ranges::sort(names);
        DirectoryBuilder builder([this](Bytes node) { return run_->writer().put_node(std::move(node)); });
        for (const std::string& name : names) builder.add(link(name));
        return builder.finish();
    }
};

TEST_F(UnorderedTreeTest, IsTheSameTreeAsInOrder) {
    const std::vector<std::string> names = shuffled_names(5000);
    const NodeRef expected = ordered(names);
    // All in memory; and in many pieces of a temporary file.
    for (const std::size_t held_bytes : {std::size_t{1} << 30, std::size_t{20'000}}) {
        UnorderedTree tree(run_->writer(), held_bytes, files_.scratch.path().string());
        tree.enter(directory("top"));
        tree.enter(directory("inner"));
        for (const std::string& name : names) tree.add(link(name));
        std::vector<std::string> told;
        TreeEntry inner = tree.leave([&](const TreeEntry& entry) { told.push_back(entry.name); });
        EXPECT_EQ(inner.children, expected);
        EXPECT_TRUE(std::ranges::is_sorted(told));
        EXPECT_EQ(told.size(), names.size());
        // The next one begins anew.
        tree.enter(directory("second"));
        for (const std::string& name : names) tree.add(link(name));
        EXPECT_EQ(tree.leave().children, expected);
    }
}

TEST_F(UnorderedTreeTest, OfTwoWithOneNameTheFirstStays) {
    for (const std::size_t held_bytes : {std::size_t{1} << 20, std::size_t{1}}) {
        UnorderedTree tree(run_->writer(), held_bytes, files_.scratch.path().string());
        tree.enter(directory("top"));
        tree.add(link("b", "first"));
        tree.add(link("a"));
        tree.add(link("b", "second"));
        std::vector<std::string> told;
        tree.leave([&](const TreeEntry& entry) { told.push_back(entry.name + entry.target); });
        EXPECT_EQ(told, (std::vector<std::string>{"asomewhere", "bfirst"}));
    }
}

TEST_F(UnorderedTreeTest, ADirectoryThatWasSetAsideIsInWhatThereIsSoFar) {
    UnorderedTree tree(run_->writer(), 1, files_.scratch.path().string());
    EXPECT_FALSE(tree.so_far());
    tree.enter(directory("top"));
    tree.add(link("z"));
    tree.enter(directory("global"));
    tree.add(link("b"));
    tree.set_aside();
    tree.enter(directory("base"));
    tree.add(link("y"));
    const TreeEntry unfinished = link("x");
    const TreeEntry so_far = *tree.so_far(&unfinished);
    tree.add(tree.depth() == 2 ? link("w") : link("?"));
    TreeEntry base = tree.leave();
    tree.add(std::move(base));
    tree.take_back();
    tree.add(link("a"));
    TreeEntry global = tree.leave();
    tree.add(std::move(global));
    const TreeEntry top = tree.leave();
    EXPECT_EQ(listing(top), (std::vector<std::string>{"base/", "base/w", "base/y", "global/", "global/a",
                                                      "global/b", "z"}));
    EXPECT_EQ(listing(so_far),
              (std::vector<std::string>{"base/", "base/x", "base/y", "global/", "global/b", "z"}));
}

TEST_F(UnorderedTreeTest, CountsWhatIsInIt) {
    UnorderedTree tree(run_->writer());
    tree.enter(directory("top"));
    tree.enter(directory("inner"));
    TreeEntry file;
    file.name = "file";
    file.size = 0;
    tree.add(file);
    tree.add(link("link"));
    TreeEntry inner = tree.leave();
    EXPECT_EQ(inner.files, 1U);
    tree.add(std::move(inner));
    EXPECT_EQ(tree.leave().files, 1U);
}

} // namespace
} // namespace holdfast
