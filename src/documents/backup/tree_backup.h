// Capturing a file tree: walk, compare with what is known, store what is new.
#pragma once

#include "base/clock.h"
#include "base/log.h"
#include "base/progress.h"
#include "documents/backup/link_table.h"
#include "documents/owner_names.h"
#include "documents/path_filter.h"
#include "documents/tree_walker.h"
#include "repository/content/file_content.h"
#include "repository/node/directory_cursor.h"
#include "repository/protocol/snapshot.h"

#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace holdfast {

struct FileIdentity {
    std::uint64_t device = 0;
    std::uint64_t inode = 0;
    bool operator==(const FileIdentity&) const = default;
};

// Files that match `pattern` (as for PathFilter) are split so; the last rule that matches wins.
struct SplitRule {
    std::string pattern;
    SplitMode mode = SplitMode::automatic;
};

struct TreeBackupSettings {
    PathFilter filter;
    WalkOptions walk;
    std::vector<SplitRule> split_rules;
    // Reads every file, whatever its metadata say.
    bool read_everything = false;
    // The repository's own directory, if it is on this machine: it is captured as a directory of unknown
    // content, with a warning, so that no backup stores itself and no restore deletes it.
    std::optional<FileIdentity> repository_directory;
    // Network file systems may give other inode numbers and change times at every mount.
    bool ignore_inode = false;
    bool ignore_ctime = false;
};

// Something that could not be captured, or not cleanly. The path has its bytes made printable.
struct TreeProblem {
    std::string path;
    std::string what;
};

struct TreeBackupResult {
    NodeRef root;
    SnapshotTotals totals; // without stored_bytes
    // The first thousand; `failed` in totals counts them all.
    std::vector<TreeProblem> problems;
    std::uint64_t changed_while_read = 0;
    std::uint64_t rewritten_bytes = 0;
};

// What a capture works with; all of it outlives the capture.
struct CaptureTools {
    ContentWriter& writer;
    NodeReader& nodes;
    FileContentWriter& files;
    FileContentWriter::Usable usable;
    // Whether the content of an unchanged file may be taken over, the nodes of a large one unread.
    std::function<bool(const FileContent&)> content_usable;
    // Asked between files and between segments of large ones; when it says yes, save_checkpoint gets the root
    // of what has been captured so far.
    std::function<bool()> checkpoint_due;
    std::function<void(const NodeRef& root)> save_checkpoint;
    // When the capture is stopped by request it gets the same, before capture_tree throws Error(cancelled).
    std::function<void(const NodeRef& root)> stopped;
    Clock& clock;
    Logger& logger;
    Progress& progress;
};

// Captures `paths`. `previous` are the roots of earlier trees of the same source, the most recent first: a
// file whose metadata are those of one of them is taken from there unread. Throws only what ends the whole
// capture; what happens to single files is in the result.
//
// A file that is there but cannot be read counts as left out. If an earlier tree has it whole, its old entry
// stands in the new one as it was, metadata and content of the same time, and marked unreadable; otherwise
// its metadata stand there without content, marked likewise, and a restore names it as missing. Either way
// it is read again next time.
TreeBackupResult capture_tree(const std::vector<std::string>& paths, const std::vector<NodeRef>& previous,
                              const TreeBackupSettings& settings, const CaptureTools& tools,
                              std::stop_token stop);

} // namespace holdfast
