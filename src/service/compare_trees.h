// In what two snapshots differ.
#pragma once

#include "repository/node/directory_node.h"
#include "repository/node/node_reader.h"

#include <functional>
#include <stop_token>
#include <string>

namespace holdfast {

enum class ChangeKind {
    added,
    removed,
    modified, // the content of a file, the target of a link, the number of a device
    metadata, // only mode, owner, group, modification time, attributes or flags
    type,     // one kind of entry has become another
    unknown,  // of a directory: not all that is in it is known of one tree or both
};
std::string_view to_string(ChangeKind kind);

// Valid during the call. `before` is null for what was added, `after` for what was removed.
struct Change {
    const std::string& path; // raw bytes, without a slash in front
    ChangeKind kind;
    const TreeEntry* before;
    const TreeEntry* after;
};

// Calls `take` for each difference from tree `before` to tree `after`, until it returns false. Within a
// directory, entries come in the order of names, and what is below a directory behind the directory itself;
// below a directory that was added or removed every entry is told. What became something else is told as
// `type`, and what was or is below it as removed or added.
//
// A directory that a backup could not list whole is told as `unknown`, behind what else there is to tell of
// it, unless both trees have the same of it. What one tree lacks of it may have been there, so that entries
// that only the other has are not told.
//
// Content is equal when digest and size are, which says something only within one domain. Inode numbers, link
// counts and change times are no differences. Parts of equal node id are passed over unread, also within
// directories. Memory: a leaf and its indexes for each level of directories, twice. Throws Error(cancelled),
// and what the node reader throws.
void compare_trees(NodeReader& nodes, const NodeRef& before, const NodeRef& after,
                   const std::function<bool(const Change&)>& take, std::stop_token stop = {});

} // namespace holdfast
