// Writing the tree of a snapshot back to a file system.
#pragma once

#include "base/log.h"
#include "base/progress.h"
#include "documents/metadata_writer.h"
#include "documents/path_filter.h"
#include "repository/content/content_reader.h"
#include "repository/node/directory_cursor.h"

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace holdfast {

// What a dry run would do to an entry.
enum class PlannedAction {
    create,
    write,    // its content, or what it points at, differs
    metadata, // only its metadata does
    link,     // it becomes a further name of a file
    remove,
};
// "create", "write", "metadata", "link", "remove".
std::string_view to_string(PlannedAction action);
struct PlannedChange {
    PlannedAction action = PlannedAction::create;
    std::string_view path; // bytes, without a slash in front; valid during the call
    bool directory = false;
    std::uint64_t bytes = 0; // of content that would be written
};

struct TreeRestoreSettings {
    // Paths in the snapshot ("srv/docs", a slash in front does not matter): these and what is below them.
    // None: everything.
    std::vector<std::string> paths;
    // A directory that it leaves out is made when something in it is wanted.
    PathFilter filter;
    // The paths that were backed up. Directories above them are not the snapshot's: in place they keep their
    // metadata and everything else in them, and a link that leads to one is followed.
    std::vector<std::string> roots;
    // The target may hold something already: only what differs is written. Otherwise it must be empty or
    // missing.
    bool in_place = false;
    // Says what would be done and does nothing; the target need not exist. `plan` is told each change:
    // directories before what is in them, removals when their directory has been gone through.
    bool dry_run = false;
    std::function<void(const PlannedChange&)> plan;
    // With in_place: removes what the snapshot does not have in directories that are restored.
    bool delete_extra = false;
    // With in_place: a file of the right size and time counts as right, unread.
    bool trust_times = false;
    // Does not return before everything is durable.
    bool sync = false;
    // Told of each file of which the whole content passed by its path, size in bytes and CRC-32C; by several
    // threads at once. Files that trust_times keeps, and further names of a file, are not told.
    std::function<void(std::string_view path, std::uint64_t size_bytes, std::uint32_t crc32c)> sum;
    MetadataOptions metadata;
    ContentReaderSettings content;
};

struct RestoreProblem {
    std::string path; // printable
    std::string what;
};

struct TreeRestoreResult {
    std::uint64_t files = 0, directories = 0, others = 0;
    std::uint64_t bytes = 0;         // of all files selected
    std::uint64_t written_bytes = 0; // fetched and written
    std::uint64_t same_files = 0;    // in_place: they were right already
    std::uint64_t deleted = 0;
    std::uint64_t skipped = 0; // sockets, and devices that may not be made
    std::uint64_t failed = 0;
    // Entries that did not get their owner or group, as happens to who is not root. They are not failed.
    std::uint64_t owner_failures = 0;
    std::vector<RestoreProblem> problems; // the first thousand
};

// What a restore works with; all of it outlives it.
struct RestoreTools {
    NodeReader& nodes;
    PackReader& packs;
    // The identity key of the snapshot's domain, for comparing what is there; empty when the key ring has
    // none: then files are compared by times or written whole.
    ByteView domain_key;
    Logger& logger;
    Progress& progress;
};

// Restores the tree under `root` into `target`. Throws Error(usage) when the target is not empty without
// in_place, or a path is not in the snapshot. What fails for single entries is in the result; a file of which
// a byte cannot be proven is removed again (kept as it was found where it was updated in place) and counted
// as failed.
TreeRestoreResult restore_tree(const NodeRef& root, const std::string& target,
                               const TreeRestoreSettings& settings, const RestoreTools& tools,
                               std::stop_token stop);

} // namespace holdfast
