#include "documents/source_roots.h"
#include "documents/tree_walker.h"
#include "support/failing_listing.h"
#include "temporary_tree.h"

#include <algorithm>
#include <functional>
#include <map>
#include <set>

#include <gmock/gmock.h>
#include <sys/mount.h>
#include <sys/resource.h>

namespace holdfast {
namespace {

using testing::ElementsAre;
using testing::ElementsAreArray;
using testing::IsEmpty;

// Writes down what a walk shows, below `base` only: "+path" and "-path" for directories, "path" for
// everything else.
class Recorder : public TreeVisitor {
  public:
    explicit Recorder(std::string base = {}) : base_(std::move(base)) {}

    bool enter_directory(const WalkedEntry& entry) override {
        EXPECT_EQ(entry.metadata.type, FileType::directory);
        open_paths.emplace_back(entry.path);
        check(entry);
        note("+", entry.path);
        return !declined.contains(std::string(entry.path));
    }
    void leave_directory(std::string_view path) override {
        ASSERT_FALSE(open_paths.empty());
        EXPECT_EQ(open_paths.back(), path);
        open_paths.pop_back();
        note("-", path);
    }
    void entry(const WalkedEntry& entry) override {
        check(entry);
        note("", entry.path);
        if (on_entry) on_entry(entry);
    }
    void vanished(std::string_view path) override { vanished_paths.emplace_back(path); }
    void error(std::string_view path, const Error& error) override {
        errors.emplace(std::string(path), error);
    }
    void left_out(std::string_view path, const FileMetadata&) override { left_out_paths.emplace_back(path); }

    std::vector<std::string> seen;
    std::vector<std::string> vanished_paths;
    std::vector<std::string> left_out_paths;
    std::multimap<std::string, Error> errors;
    std::set<std::string> declined;
    std::vector<std::string> open_paths;
    std::function<void(const WalkedEntry&)> on_entry;
    std::map<std::string, FileMetadata> metadata;

  private:
    void note(const char* mark, std::string_view path) {
        if (!path.starts_with(base_)) return;
        path.remove_prefix(base_.size());
        if (path.starts_with('/')) path.remove_prefix(1);
        seen.push_back(mark + std::string(path));
    }
    void check(const WalkedEntry& entry) {
        if (!entry.path.empty()) {
            const std::size_t slash = entry.path.rfind('/');
            EXPECT_EQ(entry.name, entry.path.substr(slash == std::string_view::npos ? 0 : slash + 1));
        }
        metadata[std::string(entry.path)] = entry.metadata;
        // What the descriptors lead to is what is shown.
        struct stat status{};
        const bool follow = entry.followed == FollowLinks::yes;
        EXPECT_EQ(
            ::fstatat(entry.directory->get(), entry.name.c_str(), &status, follow ? 0 : AT_SYMLINK_NOFOLLOW),
            0)
            << entry.path;
        EXPECT_EQ(status.st_ino, entry.metadata.inode);
        OwnerNames owners;
        FileMetadata details = entry.metadata;
        const WalkedEntry copy{entry.path, entry.name, details, entry.directory, entry.self, entry.followed};
        EXPECT_TRUE(copy.read_details(owners)) << entry.path;
        EXPECT_EQ(details.inode, entry.metadata.inode) << entry.path;
        EXPECT_EQ(details.type, entry.metadata.type) << entry.path;
    }
    std::string base_;
};

TEST(TreeWalker, ShowsATreeInOrder) {
    const TemporaryTree tree;
    tree.directory("b");
    tree.file("b/2");
    tree.file("b/1");
    tree.file("b.txt");
    tree.file("a");
    tree.file("\xff");
    tree.file("new\nline");
    tree.link("link", "b");
    tree.directory("empty");
    Recorder recorder(tree.tree_path());
    walk_trees({tree.path()}, {}, {}, recorder);
    EXPECT_THAT(recorder.seen, ElementsAre("+", "a", "+b", "b/1", "b/2", "-b", "b.txt", "+empty", "-empty",
                                           "link", "new\nline", "\xff", "-"));
    EXPECT_TRUE(recorder.errors.empty());
    EXPECT_THAT(recorder.open_paths, IsEmpty());
    // The parents up to the top are directories of the tree.
    EXPECT_TRUE(recorder.metadata.contains(""));
    EXPECT_TRUE(recorder.metadata.contains(tree.tree_path().substr(0, tree.tree_path().find('/'))));
}

TEST(TreeWalker, MergesSeveralPathsAndFiles) {
    const TemporaryTree tree;
    for (const char* name : {"x", "y", "z", "x/in", "z/in"}) tree.directory(name);
    tree.file("x/in/1");
    tree.file("y/2");
    tree.file("z/in/3");
    tree.file("z/other");
    tree.file("single");
    Recorder recorder(tree.tree_path());
    walk_trees({tree.path("z/in/"), tree.path("single"), tree.path("x"), tree.path("./x//in")}, {}, {},
               recorder);
    EXPECT_THAT(recorder.seen, ElementsAre("+", "single", "+x", "+x/in", "x/in/1", "-x/in", "-x", "+z",
                                           "+z/in", "z/in/3", "-z/in", "-z", "-"));
    EXPECT_TRUE(recorder.errors.empty());
}

TEST(TreeWalker, ReportsPathsThatAreNotThere) {
    const TemporaryTree tree;
    tree.file("file");
    tree.directory("d");
    Recorder recorder(tree.tree_path());
    walk_trees({tree.path("missing/deep"), tree.path("file/below"), tree.path("d"), tree.path("d/gone")}, {},
               {}, recorder);
    EXPECT_THAT(recorder.seen, ElementsAre("+", "+d", "-d", "-"));
    ASSERT_EQ(recorder.errors.size(), 3U);
    EXPECT_EQ(recorder.errors.find(tree.tree_path("missing"))->second.code(), ErrorCode::not_found);
    EXPECT_EQ(recorder.errors.count(tree.tree_path("file")), 1U);
    EXPECT_EQ(recorder.errors.count(tree.tree_path("d/gone")), 1U);
}

TEST(TreeWalker, FollowsLinksAboveThePathsOnly) {
    const TemporaryTree tree;
    tree.directory("real");
    tree.directory("real/docs");
    tree.file("real/docs/a");
    tree.link("alias", "real");
    tree.link("docs", "real/docs");
    {
        Recorder recorder(tree.tree_path());
        walk_trees({tree.path("alias/docs")}, {}, {}, recorder);
        EXPECT_THAT(recorder.seen,
                    ElementsAre("+", "+alias", "+alias/docs", "alias/docs/a", "-alias/docs", "-alias", "-"));
    }
    {
        Recorder recorder(tree.tree_path());
        walk_trees({tree.path("docs")}, {}, {}, recorder);
        EXPECT_THAT(recorder.seen, ElementsAre("+", "docs", "-"));
        EXPECT_EQ(recorder.metadata.at(tree.tree_path("docs")).type, FileType::symlink);
    }
    {
        Recorder recorder(tree.tree_path());
        walk_trees({tree.path("docs/")}, {}, {}, recorder);
        EXPECT_THAT(recorder.seen, ElementsAre("+", "+docs", "docs/a", "-docs", "-"));
    }
}

TEST(TreeWalker, PathsWithDotsAreResolved) {
    const TemporaryTree tree;
    tree.directory("a");
    tree.directory("b");
    tree.file("b/f");
    Recorder recorder(tree.tree_path());
    walk_trees({tree.path("a/../b")}, {}, {}, recorder);
    EXPECT_THAT(recorder.seen, ElementsAre("+", "+b", "b/f", "-b", "-"));
    EXPECT_EQ(thrown_code([] { merge_roots({}); }), ErrorCode::usage);
    EXPECT_EQ(thrown_code([] { merge_roots({""}); }), ErrorCode::usage);
    EXPECT_EQ(thrown_code([&] { merge_roots({tree.path("nowhere/../b")}); }), ErrorCode::not_found);
    const RootNode top = merge_roots({"/"});
    EXPECT_TRUE(top.is_root);
    EXPECT_TRUE(top.children.empty());
    const RootNode names = merge_roots({"/a/..b/...", "/a/."});
    EXPECT_TRUE(names.find("a")->is_root);
    EXPECT_TRUE(names.find("a")->find("..b")->find("...")->is_root);
}

TEST(TreeWalker, AppliesPatterns) {
    const TemporaryTree tree;
    for (const char* name : {"build", "build/deep", "src", "skipped"}) tree.directory(name);
    for (const char* name :
         {"build/a.o", "build/deep/keep.txt", "build/deep/b.o", "src/c.c", "src/c.o", "skipped/x"})
        tree.file(name);
    PathFilter filter;
    filter.exclude("*.o");
    filter.exclude("build/");
    filter.exclude(tree.path("skipped"));
    filter.include("/build/deep/*.txt");
    Recorder recorder(tree.tree_path());
    walk_trees({tree.path()}, filter, {}, recorder);
    EXPECT_THAT(recorder.seen, ElementsAre("+", "+build", "+build/deep", "build/deep/keep.txt", "-build/deep",
                                           "-build", "+src", "src/c.c", "-src", "-"));
    EXPECT_THAT(recorder.left_out_paths,
                ElementsAre(tree.tree_path("build/a.o"), tree.tree_path("build/deep/b.o"),
                            tree.tree_path("skipped"), tree.tree_path("src/c.o")));
}

TEST(TreeWalker, ExcludedDirectoriesWithNothingReincludedDoNotAppear) {
    const TemporaryTree tree;
    tree.directory("build");
    tree.file("build/a.o");
    PathFilter filter;
    filter.exclude("build");
    filter.include("*.txt");
    Recorder recorder(tree.tree_path());
    walk_trees({tree.path()}, filter, {}, recorder);
    EXPECT_THAT(recorder.seen, ElementsAre("+", "-"));
}

TEST(TreeWalker, PathsThatWereNamedWinOverPatterns) {
    const TemporaryTree tree;
    for (const char* name : {"out", "out/named", "out/other"}) tree.directory(name);
    tree.file("out/named/x");
    tree.file("out/named/y.tmp");
    tree.file("out/other/z");
    PathFilter filter;
    filter.exclude("out");
    filter.exclude("*.tmp");
    Recorder recorder(tree.tree_path());
    walk_trees({tree.path(), tree.path("out/named")}, filter, {}, recorder);
    EXPECT_THAT(recorder.seen,
                ElementsAre("+", "+out", "+out/named", "out/named/x", "-out/named", "-out", "-"));
}

TEST(TreeWalker, LeavesOutCaches) {
    const TemporaryTree tree;
    for (const char* name : {"cache", "cache/sub", "fake", "linked"}) tree.directory(name);
    tree.file("cache/CACHEDIR.TAG", "Signature: 8a477f597d28d172789f06886806bc55\n# a comment");
    tree.file("cache/a");
    tree.file("fake/CACHEDIR.TAG", "Signature: 8a477f597d28d172789f06886806bc5");
    tree.file("fake/a");
    tree.link("linked/CACHEDIR.TAG", "../cache/CACHEDIR.TAG");
    tree.file("linked/a");
    Recorder recorder(tree.tree_path());
    WalkOptions options;
    options.exclude_caches = true;
    walk_trees({tree.path()}, {}, options, recorder);
    EXPECT_THAT(recorder.seen,
                ElementsAre("+", "+cache", "cache/CACHEDIR.TAG", "-cache", "+fake", "fake/CACHEDIR.TAG",
                            "fake/a", "-fake", "+linked", "linked/CACHEDIR.TAG", "linked/a", "-linked", "-"));
    Recorder without(tree.tree_path());
    walk_trees({tree.path()}, {}, {}, without);
    EXPECT_THAT(without.seen, testing::Contains("cache/a"));
}

TEST(TreeWalker, StaysOnOneFileSystem) {
    const TemporaryTree tree;
    tree.directory("mounted");
    tree.directory("other");
    tree.file("other/a");
    ASSERT_EQ(::mount("none", tree.path("mounted").c_str(), "tmpfs", 0, "size=1m"), 0)
        << "this test must run as root";
    tree.file("mounted/inside");
    WalkOptions options;
    options.one_file_system = true;
    Recorder recorder(tree.tree_path());
    walk_trees({tree.path()}, {}, options, recorder);
    Recorder named(tree.tree_path());
    walk_trees({tree.path(), tree.path("mounted")}, {}, options, named);
    Recorder all(tree.tree_path());
    walk_trees({tree.path()}, {}, {}, all);
    ASSERT_EQ(::umount(tree.path("mounted").c_str()), 0);
    EXPECT_THAT(recorder.seen, ElementsAre("+", "+mounted", "-mounted", "+other", "other/a", "-other", "-"));
    const auto everything = {"+",      "+mounted", "mounted/inside", "-mounted",
                             "+other", "other/a",  "-other",         "-"};
    EXPECT_THAT(named.seen, ElementsAreArray(everything));
    EXPECT_THAT(all.seen, ElementsAreArray(everything));
}

TEST(TreeWalker, PassesOverWhatTheVisitorDeclines) {
    const TemporaryTree tree;
    tree.directory("a");
    tree.file("a/1");
    tree.file("b");
    Recorder recorder(tree.tree_path());
    recorder.declined.insert(tree.tree_path("a"));
    walk_trees({tree.path()}, {}, {}, recorder);
    EXPECT_THAT(recorder.seen, ElementsAre("+", "+a", "-a", "b", "-"));
}

TEST(TreeWalker, ReportsWhatVanishesMeanwhile) {
    const TemporaryTree tree;
    for (const char* name : {"1", "2", "4"}) tree.file(name);
    tree.directory("3");
    Recorder recorder(tree.tree_path());
    recorder.on_entry = [&](const WalkedEntry& entry) {
        if (entry.name != "1") return;
        ::unlinkat(tree.fd(), "2", 0);
        ::unlinkat(tree.fd(), "3", AT_REMOVEDIR);
    };
    walk_trees({tree.path()}, {}, {}, recorder);
    EXPECT_THAT(recorder.seen, ElementsAre("+", "1", "4", "-"));
    EXPECT_THAT(recorder.vanished_paths, ElementsAre(tree.tree_path("2"), tree.tree_path("3")));
    EXPECT_TRUE(recorder.errors.empty());
}

TEST(TreeWalker, IsNotLedAwayByASwappedDirectory) {
    const TemporaryTree outside;
    outside.file("secret");
    const TemporaryTree tree;
    tree.file("1");
    tree.directory("2");
    tree.file("2/inside");
    Recorder recorder(tree.tree_path());
    recorder.on_entry = [&](const WalkedEntry& entry) {
        if (entry.name != "1") return;
        ASSERT_EQ(::renameat(tree.fd(), "2", outside.fd(), "moved"), 0);
        tree.link("2", outside.path());
    };
    walk_trees({tree.path()}, {}, {}, recorder);
    EXPECT_THAT(recorder.seen, ElementsAre("+", "1", "2", "-"));
    EXPECT_EQ(recorder.metadata.at(tree.tree_path("2")).type, FileType::symlink);
}

TEST(TreeWalker, GoesDeeperThanPathsAndDescriptorsAllow) {
    const TemporaryTree tree;
    constexpr int depth = 300;
    FileDescriptor current(::fcntl(tree.fd(), F_DUPFD_CLOEXEC, 0));
    const std::string name(40, 'd');
    for (int i = 0; i < depth; ++i) {
        ASSERT_EQ(::mkdirat(current.get(), name.c_str(), 0755), 0);
        ASSERT_EQ(::mknodat(current.get(), "z", S_IFREG | 0644, 0), 0); // seen on the way back
        current = FileDescriptor(::openat(current.get(), name.c_str(), O_RDONLY | O_DIRECTORY));
    }
    rlimit before{};
    ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
    const rlimit few{.rlim_cur = 40, .rlim_max = before.rlim_max};
    ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &few), 0);
    Recorder recorder(tree.tree_path());
    WalkOptions options;
    options.most_open_directories = 8;
    walk_trees({tree.path()}, {}, options, recorder);
    ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
    EXPECT_TRUE(recorder.errors.empty());
    EXPECT_EQ(recorder.seen.size(), 2U * (depth + 1) + depth);
    std::size_t deepest = 0;
    for (const auto& [path, metadata] : recorder.metadata) deepest = std::max(deepest, path.size());
    EXPECT_GT(deepest, 12'000U);
}

TEST(TreeWalker, LargeNestedDirectoriesSpillTheirNames) {
    const TemporaryTree tree;
    std::size_t expected = 2;
    std::string directory;
    for (int level = 0; level < 3; ++level) {
        for (int i = 0; i < 3000; ++i) tree.file(directory + "name-" + std::to_string(i), "");
        directory += "middle/";
        tree.directory(directory);
        expected += 3002;
    }
    Recorder recorder(tree.tree_path());
    WalkOptions options;
    options.names_budget_bytes = 0; // 64 KiB a level
    options.temporary_directory = tree.path();
    walk_trees({tree.path()}, {}, options, recorder);
    EXPECT_EQ(recorder.seen.size(), expected);
    EXPECT_TRUE(recorder.errors.empty());
    std::vector<std::string> top;
    for (const std::string& path : recorder.seen) {
        if (!path.starts_with('-') && !path.starts_with('+') && path.find('/') == std::string::npos)
            top.push_back(path);
    }
    EXPECT_TRUE(std::is_sorted(top.begin(), top.end()));
    EXPECT_EQ(top.size(), 3000U);
}

TEST(TreeWalker, UnreadableDirectoriesAreReportedAndKept) {
    const TemporaryTree tree;
    tree.directory("closed", 0700);
    tree.file("closed/x");
    tree.file("open");
    expect_as_nobody([&] {
        Recorder recorder(tree.tree_path());
        walk_trees({tree.path()}, {}, {}, recorder);
        return recorder.seen == std::vector<std::string>{"+", "+closed", "-closed", "open", "-"} &&
               recorder.errors.size() == 1 &&
               recorder.errors.find(tree.tree_path("closed"))->second.code() == ErrorCode::access_denied;
    });
}

// What was listed before is shown, and the walk goes on behind it.
TEST(TreeWalker, ADirectoryThatFailsWhileItIsListedIsReportedAndKept) {
    const TemporaryTree tree;
    constexpr unsigned files = 600; // more than two calls bring
    tree.directory("bad");
    for (unsigned i = 0; i < files; ++i) tree.file("bad/" + std::to_string(i) + std::string(220, 'x'));
    tree.directory("bad/inside");
    tree.file("good");
    for (const unsigned good_calls : {0U, 1U}) {
        Recorder recorder(tree.tree_path());
        test::with_failing_listing(tree.path("bad"), good_calls, EIO,
                                   [&] { walk_trees({tree.path()}, {}, {}, recorder); });
        ASSERT_EQ(recorder.errors.size(), 1U);
        EXPECT_EQ(recorder.errors.begin()->first, tree.tree_path("bad"));
        EXPECT_EQ(recorder.errors.begin()->second.code(), ErrorCode::io);
        EXPECT_THAT(recorder.open_paths, IsEmpty());
        EXPECT_EQ(recorder.seen[1], "+bad");
        EXPECT_THAT(std::vector(recorder.seen.end() - 3, recorder.seen.end()),
                    ElementsAre("-bad", "good", "-"));
        if (good_calls == 0) {
            EXPECT_EQ(recorder.seen.size(), 5U);
        } else {
            EXPECT_GT(recorder.seen.size(), 50U);
            EXPECT_LT(recorder.seen.size(), files);
        }
    }
}

TEST(TreeWalker, StopsWhenAsked) {
    const TemporaryTree tree;
    tree.file("1");
    tree.file("2");
    std::stop_source stop;
    Recorder recorder(tree.tree_path());
    recorder.on_entry = [&](const WalkedEntry&) { stop.request_stop(); };
    EXPECT_EQ(thrown_code([&] { walk_trees({tree.path()}, {}, {}, recorder, stop.get_token()); }),
              ErrorCode::cancelled);
    EXPECT_THAT(recorder.seen, ElementsAre("+", "1"));
}

} // namespace
} // namespace holdfast
