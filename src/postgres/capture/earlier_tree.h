// Where the walk is in an earlier snapshot's tree.
#pragma once

#include "documents/backup/previous_directory.h"
#include "repository/backup_run.h"

#include <optional>
#include <string_view>
#include <vector>

namespace holdfast::postgres {

// What there is to compare with: the tree of the run's parent, and that of an interrupted run which is newer.
struct EarlierRoots {
    std::optional<NodeRef> parent;
    std::optional<NodeRef> checkpoint;
};
EarlierRoots earlier_roots(const BackupRun& run);

// Not thread-safe. The run must outlive it; it stays where it is, since it is referred to.
class EarlierTree {
  public:
    // `root` is that of a snapshot's tree; without one nothing is found.
    EarlierTree(BackupRun& run, const std::optional<NodeRef>& root);
    EarlierTree(const EarlierTree&) = delete;
    EarlierTree& operator=(const EarlierTree&) = delete;

    // The member of this name, or null; valid until the next call. Names must be asked for in ascending
    // order, each once, here or by enter().
    const TreeEntry* find(std::string_view name);
    // Goes into that directory; returns what find() would.
    const TreeEntry* enter(std::string_view name);
    void leave() { levels_.pop_back(); }

  private:
    BackupRun& run_;
    std::vector<PreviousDirectory> levels_;
};

} // namespace holdfast::postgres
