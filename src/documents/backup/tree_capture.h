// The visitor behind capture_tree: turns what the walk shows into directory nodes.
#pragma once

#include "documents/backup/previous_directory.h"
#include "documents/backup/tree_assembly.h"
#include "documents/backup/tree_backup.h"

#include <optional>

namespace holdfast {

// For one walk, once. Not thread-safe.
class TreeCapture final : public TreeVisitor {
  public:
    TreeCapture(const std::vector<NodeRef>& previous, const TreeBackupSettings& settings,
                const CaptureTools& tools, std::stop_token stop);

    bool enter_directory(const WalkedEntry& entry) override;
    void leave_directory(std::string_view path) override;
    void entry(const WalkedEntry& entry) override;
    void vanished(std::string_view path) override;
    void error(std::string_view path, const Error& error) override;

    // After the walk.
    TreeBackupResult take_result();
    // After a walk that was stopped: the tree as far as it came; nothing when it had not begun.
    std::optional<NodeRef> root_so_far() const;

  private:
    enum class Reading { done, failed, gone };
    // A directory that was entered and not left yet.
    struct Open {
        std::string path;
        PreviousDirectory previous;
    };

    TreeEntry describe(const WalkedEntry& walked, const TreeEntry* before);
    TreeEntry renewed(const WalkedEntry& walked, const TreeEntry& before);
    bool is_unchanged(const FileMetadata& now, const TreeEntry& before) const;
    bool take_from_link(TreeEntry& entry);
    Reading read_content(const WalkedEntry& walked, TreeEntry& entry,
                         const std::vector<const TreeEntry*>& before);
    Reading give_up(const WalkedEntry& walked, TreeEntry& entry, const std::vector<const TreeEntry*>& before,
                    const Error& error);
    bool times_are_fresh(const TreeEntry& entry, Timestamp opened) const;
    void add(const TreeEntry& entry);
    SplitMode split_mode(std::string_view path) const;
    void problem(std::string_view path, std::string what);
    NodeRef tree_so_far(const TreeEntry* unfinished) const;

    const TreeBackupSettings& settings_;
    const CaptureTools& tools_;
    std::stop_token stop_;
    std::vector<NodeRef> previous_roots_;
    std::vector<std::pair<PathFilter, SplitMode>> split_filters_;
    OwnerNames owners_;
    LinkTable links_;
    std::vector<Open> open_;
    TreeAssembly tree_;                   // of the same directories
    std::optional<TreeEntry> unfinished_; // the large file in whose middle the walk was stopped
    TreeBackupResult result_;
};

} // namespace holdfast
