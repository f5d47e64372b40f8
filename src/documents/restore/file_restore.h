// Restoring one regular file: which of its bytes are needed, and where they go.
#pragma once

#include "base/log.h"
#include "documents/file_writer.h"
#include "documents/restore/present_segment.h"
#include "documents/restore/tree_restore.h"
#include "repository/node/file_map_node.h"

#include <mutex>

namespace holdfast {

// What the files of one restore share. Thread-safe.
class RestoreReport {
  public:
    RestoreReport(Logger& logger, Progress& progress) : logger_(logger), progress_(progress) {}
    void problem(const std::string& path, const std::string& what);
    void wrote(std::uint64_t bytes);
    // What MetadataWriter::apply() returned.
    void metadata_problems(const std::string& path, const std::vector<MetadataProblem>& problems);
    void finished_file() { progress_.add_done(0, 1); }
    void add(const std::function<void(TreeRestoreResult&)>& change);
    TreeRestoreResult take();

  private:
    Logger& logger_;
    Progress& progress_;
    std::mutex mutex_;
    TreeRestoreResult result_;
    std::atomic<std::uint64_t> written_bytes_{0};
};

// Restores files into directories that the caller holds open. Not thread-safe; the content reader writes
// behind it.
class FileRestorer {
  public:
    FileRestorer(const TreeRestoreSettings& settings, const RestoreTools& tools, ContentReader& content,
                 MetadataWriter& metadata, RestoreReport& report);

    // `directory_fd` may be closed when this returns; writing goes on. `path` is for messages.
    void restore(int directory_fd, const TreeEntry& entry, const std::string& path);
    // What restore() would do, in bytes that it would write; nothing when the content is right as it is.
    std::optional<std::uint64_t> would_write(int directory_fd, const TreeEntry& entry);

  private:
    class Sink;
    struct Present;
    std::optional<Present> look_at(int directory_fd, const TreeEntry& entry) const;
    bool is_right(const Present& present, const TreeEntry& entry, const std::string& path = {});
    // Whether it may be kept or written where it is: a file with names that the snapshot does not have is
    // left to them.
    static bool is_ours(const Present& present, const TreeEntry& entry);
    void restore_new(FileWriter file, const TreeEntry& entry, const std::string& path, int directory_fd);
    void update(FileWriter file, const TreeEntry& entry, const std::string& path);
    // What becomes of the content of a file that is there.
    struct Update {
        PresentSegment::Read read;
        PresentSegment::Same same;
        std::function<void(std::uint64_t offset, std::uint64_t length)> hole; // to be made one
        // To be fetched, but for what is there already if that can be told.
        std::function<void(const Extents&, const std::shared_ptr<PresentContent>&)> take;
    };
    void for_each_part(const TreeEntry& entry, const Update& to);
    void update_segment(const Segment& segment, std::uint64_t start, std::uint64_t length, const Update& to);

    const TreeRestoreSettings& settings_;
    const RestoreTools& tools_;
    ContentReader& content_;
    MetadataWriter& metadata_;
    RestoreReport& report_;
    std::shared_ptr<const PageSigner> signer_; // null: nothing can be compared
};

} // namespace holdfast
