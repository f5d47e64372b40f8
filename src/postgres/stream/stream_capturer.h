// The taker behind capture_stream: makes the tree of what the stream brings.
#pragma once

#include "documents/backup/unordered_tree.h"
#include "postgres/capture/earlier_tree.h"
#include "postgres/stream/capture_stream.h"

#include <optional>
#include <vector>

namespace holdfast::postgres {

// For one capture, once. Not thread-safe.
class StreamCapturer {
  public:
    StreamCapturer(BackupRun& run, ClusterStream& stream, const StreamCaptureRequest& request);

    StreamCapture capture();
    // The tree as far as it came.
    std::optional<NodeRef> root_so_far() const;

  private:
    void begin_archive(const BackupArchive& archive);
    void end_archive();
    void take(const StreamedEntry& entry);
    void go_to(const std::string& directory);
    void enter(TreeEntry directory, std::string path);
    void leave();
    TreeEntry finish_directory();
    void file(const StreamedEntry& streamed);
    void label(const StreamedEntry& streamed);
    void control(const StreamedEntry& streamed);
    FileContentResult write(StreamedFile& source, const TreeEntry& entry, bool relation);
    void add_file(TreeEntry entry, FileContentResult content);
    std::optional<TreeEntry> earlier(const std::string& name);
    void count(const TreeEntry& entry, const TreeEntry* before);

    BackupRun& run_;
    ClusterStream& stream_;
    const StreamCaptureRequest& request_;
    const EarlierRoots earlier_;

    UnorderedTree tree_;
    std::vector<std::string> paths_; // in the tree, of the directories that are open but its root
    std::size_t archive_depth_ = 0;  // of the directory that is the top of the archive
    BackupArchive archive_;
    bool first_entry_ = false;             // of the archive comes next
    std::optional<TreeEntry> tablespaces_; // their directory, once it is left
    std::vector<TreeEntry> in_place_;      // tablespaces that are part of pg_tblspc itself
    bool control_seen_ = false;
    std::optional<TreeEntry> unfinished_; // the large file in whose middle the capture was stopped
    StreamCapture result_;
};

} // namespace holdfast::postgres
