// What a directory holds, as text that can be compared: to say that a restore equals its source.
#pragma once

#include <map>
#include <string>

namespace holdfast::test {

// Path below the directory (empty for itself) to a line with type, mode, owner, time of modification and, by
// type, size and digest of the content, link target, device number, extended attributes, and the first name
// of the same file.
using TreeListing = std::map<std::string, std::string>;

// Follows no links. Throws Error when something cannot be read.
TreeListing list_tree(const std::string& directory);

// The lines in which they differ, the first twenty; empty when they are equal.
std::string difference(const TreeListing& expected, const TreeListing& actual);

} // namespace holdfast::test
