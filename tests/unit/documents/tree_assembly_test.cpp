#include "documents/backup/tree_assembly.h"
#include "support/tree_fixture.h"

#include <gtest/gtest.h>

namespace holdfast {
namespace {

class TreeAssemblyTest : public test::TreeFixture {
  protected:
    TreeAssembly tree_{run_->writer()};
};

TEST_F(TreeAssemblyTest, AnEntryCanBeLeftOutUntilTheEnd) {
    tree_.enter(directory("top"));
    tree_.add(link("a"));
    tree_.enter(directory("global"));
    tree_.add(link("b"));
    tree_.leave_out();
    tree_.add(link("d"));
    EXPECT_FALSE(tree_.leave());
    EXPECT_TRUE(tree_.begun());
    tree_.enter(directory("later"));
    tree_.add(link("e"));
    EXPECT_FALSE(tree_.leave());
    tree_.add(link("z"));
    const std::optional<TreeEntry> so_far = tree_.so_far();
    EXPECT_FALSE(tree_.leave()) << "it waits";
    ASSERT_TRUE(tree_.begun());
    const std::optional<TreeEntry> at_the_end = tree_.so_far();
    const TreeEntry top = tree_.complete(link("c"));
    EXPECT_FALSE(tree_.begun());
    EXPECT_EQ(listing(top), (std::vector<std::string>{"a", "global/", "global/b", "global/c", "global/d",
                                                      "later/", "later/e", "z"}));
    EXPECT_EQ(at_the_end->children, so_far->children);
    EXPECT_EQ(listing(*so_far),
              (std::vector<std::string>{"a", "global/", "global/b", "global/d", "later/", "later/e", "z"}));
}

TEST_F(TreeAssemblyTest, TheTreeSoFarHasWhatIsUnfinished) {
    tree_.enter(directory("top"));
    tree_.enter(directory("one"));
    tree_.add(link("a"));
    const TreeEntry unfinished = link("b");
    const std::optional<TreeEntry> so_far = tree_.so_far(&unfinished);
    tree_.add(link("c"));
    tree_.leave();
    const std::optional<TreeEntry> top = tree_.leave();
    ASSERT_TRUE(top);
    EXPECT_EQ(listing(*top), (std::vector<std::string>{"one/", "one/a", "one/c"}));
    EXPECT_EQ(listing(*so_far), (std::vector<std::string>{"one/", "one/a", "one/b"}));
}

} // namespace
} // namespace holdfast
