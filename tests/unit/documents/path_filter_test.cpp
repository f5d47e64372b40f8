#include "base/error.h"
#include "documents/glob.h"
#include "documents/path_filter.h"

#include <functional>
#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace holdfast {
namespace {

struct GlobCase {
    std::string_view pattern;
    std::string_view name;
    bool matches;
};

TEST(Glob, Examples) {
    using namespace std::string_view_literals;
    const GlobCase cases[] = {
        {"", "", true},
        {"", "a", false},
        {"a", "a", true},
        {"a", "b", false},
        {"*", "", true},
        {"*", ".hidden", true},
        {"*.txt", "a.txt", true},
        {"*.txt", ".txt", true},
        {"*.txt", "a.txt.", false},
        {"a*b*c", "aXbYbZc", true},
        {"a*b*c", "aXbYbZ", false},
        {"?", "a", true},
        {"?", "", false},
        {"?", "\xff", true},
        {"??", "\xc3\xa4", true},
        {"?", "\xc3\xa4", false},
        {"[abc]", "b", true},
        {"[abc]", "d", false},
        {"[a-c]x", "bx", true},
        {"[!a-c]", "d", true},
        {"[^a-c]", "a", false},
        {"[]]", "]", true},
        {"[!]]", "]", false},
        {"[]-a]", "^", true},
        {"[a-]", "-", true},
        {"[\\]]", "]", true},
        {"[\\a-c]", "b", true},
        {"[\x80-\xff]", "\xe4", true},
        {"[\x80-\xff]", "a", false},
        {"\\*", "*", true},
        {"\\*", "a", false},
        {"\\a", "a", true},
        {"A", "a", false},
        {"**", "anything", true},
        {"a\nb", "a\nb", true},
        {"*[0-9]", "x12", true},
        {"*?*?*", "ab", true},
        {"*?*?*", "a", false},
    };
    for (const GlobCase& test : cases) {
        EXPECT_EQ(glob_matches(test.pattern, test.name), test.matches) << test.pattern << " on " << test.name;
        EXPECT_EQ(glob_problem(test.pattern), "") << test.pattern;
    }
    for (const std::string_view bad : {"[", "[]", "a[b", "[!", "[!]", "\\", "a\\", "[a-", "[a\\"}) {
        EXPECT_NE(glob_problem(bad), "") << bad;
        EXPECT_FALSE(glob_matches(bad, "a")) << bad;
    }
}

TEST(Glob, ManyStarsTakeNoExponentialTime) {
    std::string pattern;
    for (int i = 0; i < 200; ++i) pattern += "*a";
    EXPECT_FALSE(glob_matches(pattern + "b", std::string(2000, 'a')));
    EXPECT_TRUE(glob_matches(pattern, std::string(2000, 'a')));
}

PathFilter filter_of(const std::vector<std::string>& patterns) {
    PathFilter filter;
    for (const std::string& pattern : patterns) filter.exclude(pattern);
    return filter;
}

struct FilterCase {
    std::vector<std::string> patterns;
    std::string path; // with a slash at the end for a directory
    bool excluded;
};

TEST(PathFilter, Examples) {
    const FilterCase cases[] = {
        {{}, "a", false},
        {{"*.o"}, "x.o", true},
        {{"*.o"}, "deep/down/x.o", true},
        {{"*.o"}, "x.c", false},
        {{"/build"}, "build/", true},
        {{"/build"}, "sub/build", false},
        {{"/srv/docs/build"}, "build", true}, // with the source's path in front
        {{"/srv/*/build"}, "build", true},
        {{"/srv/docs/build"}, "srv/docs/build", false},
        {{"/mnt/docs/build"}, "build", false},
        {{"/srv/other/build"}, "build", false},
        {{"/srv"}, "srv", true}, // not the path of the source, so from its top
        {{"build/"}, "build", false},
        {{"build/"}, "build/", true},
        {{"build/"}, "build/inside", true},
        {{"a/b"}, "a/b", true},
        {{"a/b"}, "x/a/b/c", true},
        {{"a/b"}, "a/x/b", false},
        {{"a/**/b"}, "a/b", true},
        {{"a/**/b"}, "a/x/y/b", true},
        {{"/a/**"}, "a/", false},
        {{"/a/**"}, "a/x", true},
        {{"/a/**"}, "a/x/y", true},
        {{"**/c"}, "c", true},
        {{"**"}, "anything/", true},
        {{"/*"}, "top", true},
        {{"/*", "!/keep"}, "keep/all/of/this", false},
        {{"/*", "!/keep", "*.tmp"}, "keep/x.tmp", true},
        {{"*.tmp", "!/important/"}, "important/x.tmp", false},
        {{"build", "!build/keep.txt"}, "build/keep.txt", false},
        {{"build", "!build/keep.txt"}, "build/other.txt", true},
        {{"!keep", "keep"}, "keep", true}, // the last one decides
        {{"\\!odd"}, "!odd", true},
        {{"\\#odd"}, "#odd", true},
        {{"\xff*"}, "\xff\xfe", true},
        {{"CASE"}, "case", false},
        {{"//a//b//"}, "a/b/", true},
    };
    for (const FilterCase& test : cases) {
        const bool directory = test.path.ends_with('/');
        EXPECT_EQ(filter_of(test.patterns).excludes("/srv/docs", test.path, directory), test.excluded)
            << (test.patterns.empty() ? "" : test.patterns.front()) << " on " << test.path;
    }
}

TEST(PathFilter, TheSourceItselfIsNeverExcluded) {
    EXPECT_FALSE(filter_of({"docs", "srv", "**"}).excludes("/srv/docs", "", true));
}

TEST(PathFilter, LooksIntoExcludedDirectoriesOnlyForReincludes) {
    const auto verdict = [](const std::vector<std::string>& patterns, std::string_view name) {
        const PathFilter filter = filter_of(patterns);
        return filter.judge(filter.start("/srv"), name, true);
    };
    EXPECT_FALSE(verdict({"build"}, "build").descend);
    EXPECT_TRUE(verdict({"build"}, "build").excluded);
    EXPECT_TRUE(verdict({"build", "!/build/keep"}, "build").descend);
    EXPECT_FALSE(verdict({"build", "!/other/keep"}, "build").descend);
    EXPECT_TRUE(verdict({"build", "!*.txt"}, "build").descend);  // could match anywhere
    EXPECT_FALSE(verdict({"!*.txt", "build"}, "build").descend); // an earlier pattern can't win
    EXPECT_FALSE(verdict({"build", "!/build"}, "build").excluded);
}

TEST(PathFilter, ReadsPatternFiles) {
    PathFilter filter;
    filter.exclude_lines("# comment\n\n*.o\r\n\\#x\n!keep.o\nlast", "list");
    EXPECT_TRUE(filter.excludes("/s", "a.o", false));
    EXPECT_TRUE(filter.excludes("/s", "#x", false));
    EXPECT_FALSE(filter.excludes("/s", "keep.o", false));
    EXPECT_FALSE(filter.excludes("/s", "# comment", false));
    EXPECT_TRUE(filter.excludes("/s", "last", false));
    try {
        filter.exclude_lines("fine\n[bad\n", "list");
        FAIL() << "a bad pattern passed";
    } catch (const Error& error) {
        EXPECT_EQ(error.code(), ErrorCode::usage);
        EXPECT_NE(error.message().find("list line 2"), std::string::npos) << error.message();
    }
}

TEST(PathFilter, RefusesWhatCanNeverMatch) {
    const std::string long_pattern(200, '/');
    std::string many;
    for (int i = 0; i < 70; ++i) many += "/x";
    for (const std::string& pattern :
         {std::string(), std::string("/"), std::string("a/../b"), std::string("./a"), std::string("[a"),
          std::string("a\0b", 3), long_pattern, many, std::string("!")}) {
        PathFilter filter;
        EXPECT_THROW(filter.exclude(pattern), Error) << pattern;
        EXPECT_TRUE(filter.empty());
    }
    PathFilter filter;
    EXPECT_THROW(filter.include("!a"), Error);
    filter.include("a");
    EXPECT_FALSE(filter.empty());
}

// The rule written down naively, to compare with.
bool naive_glob(std::string_view pattern, std::string_view name) {
    if (pattern.empty()) return name.empty();
    if (pattern[0] == '*') {
        return naive_glob(pattern.substr(1), name) || (!name.empty() && naive_glob(pattern, name.substr(1)));
    }
    return !name.empty() && (pattern[0] == '?' || pattern[0] == name[0]) &&
           naive_glob(pattern.substr(1), name.substr(1));
}

using Names = std::vector<std::string>;

Names split(const std::string& text) {
    Names parts;
    std::string part;
    for (const char byte : text + "/") {
        if (byte != '/') {
            part += byte;
        } else if (!part.empty()) {
            parts.push_back(std::exchange(part, {}));
        }
    }
    return parts;
}

bool naive_match(const Names& pattern, std::size_t p, const Names& path, std::size_t n, std::size_t end) {
    if (p == pattern.size()) return n == end;
    if (pattern[p] == "**") {
        // At the end: at least one component.
        if (p + 1 == pattern.size()) return n < end;
        for (std::size_t skip = n; skip <= end; ++skip) {
            if (naive_match(pattern, p + 1, path, skip, end)) return true;
        }
        return false;
    }
    return n < end && naive_glob(pattern[p], path[n]) && naive_match(pattern, p + 1, path, n + 1, end);
}

bool naive_rule_matches(const std::string& pattern, const Names& path, bool directory) {
    const Names components = split(pattern);
    for (std::size_t end = 1; end <= path.size(); ++end) {
        if (pattern.ends_with('/') && end == path.size() && !directory) continue;
        const std::size_t last_start = pattern.starts_with('/') ? 0 : end;
        for (std::size_t start = 0; start <= last_start; ++start) {
            if (naive_match(components, 0, path, start, end)) return true;
        }
    }
    return false;
}

bool naive_excludes(const Names& patterns, const Names& path, bool directory) {
    for (std::size_t i = patterns.size(); i-- > 0;) {
        const bool include = patterns[i].starts_with('!');
        if (naive_rule_matches(patterns[i].substr(include ? 1 : 0), path, directory)) return !include;
    }
    return false;
}

Names random_patterns(std::mt19937_64& random) {
    static const std::vector<std::string> pieces = {"a",  "b",  "ab", "*",  "a*", "?",
                                                    "**", "*b", "b?", "**", "c"};
    Names patterns;
    for (std::size_t i = 0, count = 1 + random() % 5; i < count; ++i) {
        std::string pattern = random() % 3 == 0 ? "!" : "";
        if (random() % 2 == 0) pattern += "/";
        for (std::size_t j = 0, length = 1 + random() % 4; j < length; ++j) {
            pattern += (j > 0 ? "/" : "") + pieces[random() % pieces.size()];
        }
        if (random() % 4 == 0) pattern += "/";
        patterns.push_back(pattern);
    }
    return patterns;
}

std::string joined(const Names& names, const char* between) {
    std::string text;
    for (const std::string& name : names) text += (text.empty() ? "" : between) + name;
    return text;
}

TEST(PathFilterProperty, AgreesWithTheRuleWrittenNaively) {
    const std::vector<std::string> names = {"a", "b", "ab", "ba", "c"};
    for (std::uint64_t seed = 0; seed < 20'000; ++seed) {
        std::mt19937_64 random(seed);
        const Names patterns = random_patterns(random);
        const PathFilter filter = filter_of(patterns);
        for (int i = 0; i < 8; ++i) {
            Names path;
            for (std::size_t j = 0, depth = 1 + random() % 5; j < depth; ++j)
                path.push_back(names[random() % names.size()]);
            const bool directory = random() % 2 == 0;
            ASSERT_EQ(filter.excludes("/source/root", joined(path, "/"), directory),
                      naive_excludes(patterns, path, directory))
                << "seed " << seed << ": " << joined(patterns, "  ") << " on " << joined(path, "/");
        }
    }
}

TEST(PathFilterProperty, NothingIncludedLiesWhereTheWalkDoesNotGo) {
    const std::vector<std::string> names = {"a", "b", "ab", "c"};
    std::size_t closed = 0;
    for (std::uint64_t seed = 0; seed < 2'000; ++seed) {
        std::mt19937_64 random(seed);
        const Names patterns = random_patterns(random);
        const PathFilter filter = filter_of(patterns);
        const std::function<void(const PathFilter::Cursor&, Names&, bool)> visit =
            [&](const PathFilter::Cursor& cursor, Names& path, bool reachable) {
                for (const std::string& name : names) {
                    const PathFilter::Verdict verdict = filter.judge(cursor, name, true);
                    path.push_back(name);
                    if (!reachable) {
                        ++closed;
                        ASSERT_TRUE(verdict.excluded) << "seed " << seed << ": " << joined(patterns, "  ")
                                                      << " on " << joined(path, "/");
                    }
                    if (path.size() < 4)
                        visit(filter.enter(cursor, name), path, reachable && verdict.descend);
                    path.pop_back();
                }
            };
        Names path;
        visit(filter.start("/source"), path, true);
        if (HasFatalFailure()) return;
    }
    EXPECT_GT(closed, 1000U);
}

} // namespace
} // namespace holdfast
