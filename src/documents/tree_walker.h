// Walking several paths as one tree, depth first, in the order in which snapshots store it.
#pragma once

#include "documents/directory_stack.h"
#include "documents/file_metadata.h"
#include "documents/path_filter.h"
#include "documents/result.h"

#include <cstddef>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

namespace holdfast {

struct WalkOptions {
    // Mount points below a path that is backed up stay, empty; other file systems are not entered.
    bool one_file_system = false;
    // Of a directory that holds a CACHEDIR.TAG with the standard's signature (https://bford.info/cachedir/),
    // only the directory and the tag are kept. Paths that are backed up themselves are not asked.
    bool exclude_caches = false;
    // What the names of all listed directories together may take before they go to a temporary file. At least
    // 64 KiB a level are used in any case.
    std::size_t names_budget_bytes = 32UL * 1024 * 1024;
    // Where that temporary file goes; empty means /var/tmp.
    std::string temporary_directory;
    std::size_t most_open_directories = 64;
};

// What the walk shows. Views and references are valid during the call only.
struct WalkedEntry {
    // The path in the snapshot, without a slash in front: "srv/docs/a". Empty for the top directory.
    std::string_view path;
    // Its last component; "." for the top directory.
    const std::string& name;
    // The stat part is filled. The visitor may change it.
    FileMetadata& metadata;
    // The directory that holds the entry (the top directory holds itself). A copy keeps it open for other
    // threads; those held come on top of WalkOptions::most_open_directories.
    const SharedDirectory& directory;
    // The directory that the entry is; null for everything else, and when it can't be opened.
    const SharedDirectory& self;
    // The path leads to this directory through a symbolic link, which was followed.
    FollowLinks followed = FollowLinks::no;

    // Fills the details of `metadata`, see directory_reader.h; for directories this is the way to do it,
    // since it goes through the directory that is walked and not through its name.
    Result<void> read_details(OwnerNames& owners) const;
};

// What comes out of a walk, on the thread that walks. What these functions throw ends the walk and reaches
// its caller.
class TreeVisitor {
  public:
    virtual ~TreeVisitor() = default;
    // A directory, before what is in it. False: its contents are passed over. leave_directory follows in any
    // case.
    virtual bool enter_directory(const WalkedEntry& entry) = 0;
    virtual void leave_directory(std::string_view path) = 0;
    // Anything but a directory.
    virtual void entry(const WalkedEntry& entry) = 0;
    // It was listed, and was gone when it was looked at.
    virtual void vanished(std::string_view path) = 0;
    // It can't be looked at, or a directory can't be listed (whole, or from some point on; it is entered and
    // left all the same). The walk goes on.
    virtual void error(std::string_view path, const Error& error) = 0;
    // Left out by a pattern, a cache tag or a file system border (whose directory itself stays). Optional.
    virtual void left_out(std::string_view path, const FileMetadata& metadata);
};

// Shows the tree of `paths` (see source_roots.h) to `visitor`: exactly one outermost directory with an empty
// path (the file system's root), in it the parents of the paths and everything that `filter` and `options`
// leave in, each directory's entries in bytewise order of their names. An excluded directory that is looked
// into because of a re-including pattern appears only if something in it does. Memory grows with the depth
// only; directories of any size and depth are walked. Throws Error(usage) for paths that make no sense,
// Error(cancelled) when `stop` is requested.
void walk_trees(const std::vector<std::string>& paths, const PathFilter& filter, const WalkOptions& options,
                TreeVisitor& visitor, std::stop_token stop = {});

} // namespace holdfast
