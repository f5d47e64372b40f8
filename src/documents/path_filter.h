// Which entries of a tree are left out: an ordered list of patterns that exclude or re-include.
//
// Patterns (bytes; case matters; a leading dot is nothing special):
//   *  ?  [a-z]  [!a-z]   match within one name, see glob.h; a backslash takes the next byte as it is
//   **                    as a whole component: any number of directories, none included; at the end:
//   everything inside a/b                   matches at any depth /a/b                  only from the top of a
//   path that is backed up; written with that path in front
//                         (/srv/docs/a/b for the source /srv/docs) it means the same
//   a/                    directories only
//   !a                    re-includes (in --exclude and in files)
// In a pattern file each line is one pattern; empty lines and lines that begin with # are skipped, a
// backslash before a first # or ! makes it ordinary, and a carriage return at the end is dropped.
//
// The rule: the last pattern that matches an entry or a directory above it decides. No match: it is included.
// A path that was named for the backup is always included. An excluded directory is looked into only if a
// later re-including pattern could match something below it. A re-including pattern without a leading / could
// match anywhere, so anchored ones keep backups faster.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace holdfast {

// Adding is for one thread; after that, const use is thread-safe.
class PathFilter {
  public:
    // Where in the tree a match is: how far each pattern has come. For directories; opaque to callers.
    struct Cursor {
        std::vector<std::uint64_t>
            positions;                  // per rule: bit i is set when its first i components are matched
        std::ptrdiff_t decided_by = -1; // the last rule that matched this directory or one above it
    };
    struct Verdict {
        bool excluded = false;
        bool descend = true; // directories only: something below may be included
    };

    // Adds a pattern behind all others. Both throw Error(usage) when it can't be one.
    void exclude(std::string_view pattern); // re-includes when it begins with '!'
    void include(std::string_view pattern);
    // Adds every line of a pattern file; `file_name` is for messages.
    void exclude_lines(std::string_view text, std::string_view file_name);
    bool empty() const { return rules_.empty(); }

    // The cursor of a path that is backed up: absolute, for example "/srv/docs".
    Cursor start(std::string_view source_root) const;
    // Judges an entry of the directory that `directory` stands for.
    Verdict judge(const Cursor& directory, std::string_view name, bool is_directory) const;
    // The cursor of a subdirectory.
    Cursor enter(const Cursor& directory, std::string_view name) const;

    // The whole rule for one path below `source_root`, for example "a/b".
    bool excludes(std::string_view source_root, std::string_view path, bool is_directory) const;

  private:
    struct Component {
        std::string text;
        bool any_depth = false; // **
        bool literal = false;
    };
    struct Rule {
        std::vector<Component> components;
        bool excludes = true;
        bool directories_only = false;
        bool anchored = false;
    };
    void add(std::string_view pattern, bool excludes);
    static std::uint64_t closure(const Rule& rule, std::uint64_t positions);
    static std::uint64_t step(const Rule& rule, std::uint64_t positions, std::string_view name);
    static std::uint64_t accepting(const Rule& rule) { return std::uint64_t{1} << rule.components.size(); }

    std::vector<Rule> rules_;
};

} // namespace holdfast
