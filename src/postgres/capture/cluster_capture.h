// The visitor behind capture_cluster: decides what of each file is to be read, has it read ahead, and makes
// the tree of what comes.
#pragma once

#include "documents/backup/tree_assembly.h"
#include "postgres/capture/capture_cluster.h"
#include "postgres/capture/cluster_walk.h"
#include "postgres/capture/earlier_tree.h"
#include "postgres/capture/read_ahead.h"

#include <deque>
#include <memory>
#include <optional>

namespace holdfast::postgres {

// For one capture, once. Not thread-safe.
class ClusterCapturer final : public ClusterVisitor {
  public:
    ClusterCapturer(BackupRun& run, const ClusterCaptureRequest& request, const ControlFile& control,
                    Progress& progress, std::stop_token stop);

    // Everything but pg_control, whose content is then in `control_content`.
    ClusterCapture capture();
    // The tree as far as it came.
    std::optional<NodeRef> root_so_far() const;

    void enter_directory(const WalkedEntry& entry, const std::string& path) override;
    void leave_directory() override;
    void empty_directory(const std::string& name, const WalkedEntry& like) override;
    void file(const WalkedEntry& entry, const std::string& path) override;
    void link(const WalkedEntry& entry, const std::string& path) override;
    void vanished(const std::string& path) override;
    void error(const std::string& path, const Error& error) override;

  private:
    // What the walk has shown and the tree does not have yet.
    struct Item {
        enum class Kind { enter, leave, ready, control, read };
        Kind kind = Kind::ready;
        TreeEntry entry;
        std::optional<TreeEntry> before; // of read: the file as an earlier snapshot has it
        std::shared_ptr<AheadFile> reading;
        // Of a comparison: the pages that are named.
        std::optional<std::vector<PageRange>> named;
    };

    void find_earlier_trees();
    void walk_tablespaces();
    void add_control_file();
    TreeEntry describe(const WalkedEntry& walked, const std::string& path, const TreeEntry* before);
    bool usable(const TreeEntry* before) const;
    std::optional<std::vector<PageRange>> changed_pages(const RelationSegment& segment) const;
    void decide(Item& item, const WalkedEntry& walked, const std::string& path);
    void push(Item item);
    void take_items(std::size_t most_left);
    void take(Item& item);
    void store(Item& item);
    FileContentResult write(Item& item);
    FileContentResult compare(Item& item);
    void add(const TreeEntry& entry);
    void checkpoint_if_due(const TreeEntry* unfinished);
    NodeRef root_with(const TreeEntry* unfinished) const;
    void problem(const std::string& path, std::string what);

    BackupRun& run_;
    const ClusterCaptureRequest& request_;
    const ControlFile control_;
    Progress& progress_;
    std::stop_token stop_;
    const Exclusions exclusions_;
    const std::string tablespace_directory_;
    OwnerNames owners_;
    std::unique_ptr<ClusterFiles> own_files_;
    ClusterFiles& files_;
    PageCheck check_;
    RateLimit rate_;

    const ChangedBlocks* changes_ = nullptr; // when they can be used
    std::optional<EarlierTree> parent_;
    std::optional<EarlierTree> checkpoint_; // of an interrupted run
    TreeAssembly data_;
    TreeAssembly tablespaces_;
    TreeAssembly* tree_ = &data_;
    std::string top_name_; // of the directory that is entered next, where the tree has another name for it
    std::optional<TreeEntry> data_directory_; // its metadata
    bool control_seen_ = false;
    std::optional<TreeEntry> control_entry_;
    std::optional<TreeEntry> unfinished_; // the large file in whose middle the capture was stopped
    ClusterCapture result_;
    std::deque<Item> items_;
    ReadAhead ahead_; // last: its threads use what is above
};

} // namespace holdfast::postgres
