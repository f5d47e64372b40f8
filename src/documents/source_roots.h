// The paths that are backed up, arranged as the tree that a snapshot shows.
#pragma once

#include <map>
#include <string>
#include <vector>

namespace holdfast {

// A path to back up becomes the entry of the same absolute path: /srv/docs is "docs" in "srv". A component
// above it that is a symbolic link is followed and appears as the directory it leads to; the last one is kept
// as a link, unless it was typed with a slash at its end.
struct RootNode {
    bool is_root = false;     // a path to back up ends here: everything below belongs to it
    bool follow_link = false; // for the last component
    std::map<std::string, RootNode, std::less<>> children; // in bytewise order

    const RootNode* find(std::string_view name) const;
};

// Merges `paths` into one tree. Relative ones are taken from the working directory. "." and repeated slashes
// are dropped;
// ".." is resolved by the file system, since what lies above a symbolic link can't be read from the path.
// Throws Error(usage) when there are none or one is empty or has a zero byte, Error(not_found) when a path
// with ".." leads nowhere.
RootNode merge_roots(const std::vector<std::string>& paths);

// The absolute paths at which roots lie in the tree, in its order: what a snapshot says it is of.
std::vector<std::string> root_paths(const RootNode& roots);

} // namespace holdfast
