// The content of one file on its way into a repository.
#pragma once

#include "repository/content/content_source.h"
#include "repository/content/content_writer.h"
#include "repository/content/rewrite_budget.h"
#include "repository/node/entry.h"
#include "repository/node/node_reader.h"
#include "repository/split/gear_splitter.h"
#include "repository/split/page_signatures.h"

#include <functional>

namespace holdfast {

// Which splitter serves the parts of a large file that are new. `automatic` finds it from how the file
// changed.
enum class SplitMode { automatic, content_defined, pages };

struct FileContentSettings {
    // How many bytes of unchanged content may be stored anew for each changed byte, so that files do not
    // end up as mosaics of mostly dead frames,
    double rewrite_per_changed_byte = 1.3;
    // while more than this part of the frames that a file lies in is dead.
    double tolerated_dead_part = 0.05;
};

struct FileContentResult;

struct FileWriteOptions {
    SplitMode mode = SplitMode::automatic;
    // The beginning of this file, as it still is: an interrupted run has read it. Of a large file, what is
    // whole in it is not read again. May be null.
    const TreeEntry* trusted = nullptr;
    // The pages that may differ from those of the earlier snapshot, ascending and apart; null when that is
    // not known. Where that snapshot has a map of a large file, only these are read, with the pages behind
    // its end or the new one. Smaller files are read whole.
    const std::vector<PageRange>* changed = nullptr;
    // Called for each page of a large file that differs from the earlier snapshot's, in as far as that has
    // it.
    std::function<void(std::uint64_t offset, ByteView page)> page_differs;
    // Called when a segment of a large file has been stored to its end. Its argument gives all segments of
    // which that is so, for a checkpoint.
    std::function<void(const std::function<FileContentResult()>& so_far)> segment_done;
    // Called, likewise, when the source of a large file throws Error(cancelled), which then goes on its way.
    std::function<void(const std::function<FileContentResult()>& so_far)> stopped;
};

struct FileContentResult {
    FileContent content;
    ContentDigest digest;
    std::uint64_t size_bytes = 0; // how far the content reached
    std::uint64_t read_bytes = 0;
    std::uint64_t rewritten_bytes = 0;
    // FileWriteOptions::changed was of no use for some pages, because the earlier snapshot has no map of them
    // that can be used; they were read.
    bool map_missing = false;
};

// Appends to ascending extents; joins with the last one what continues it in the same frame.
void append_extent(Extents& extents, std::uint64_t file_offset, std::uint64_t length,
                   const FrameAddress& frame, std::uint32_t frame_offset);

// Not thread-safe. What it refers to must outlive it.
class FileContentWriter {
  public:
    // Whether a frame of an earlier snapshot may be referred to by this run.
    using Usable = std::function<bool(const FrameAddress&)>;

    FileContentWriter(ContentWriter& writer, NodeReader& nodes, PackReader& packs, ByteView domain_key,
                      Usable usable, FileContentSettings settings = {});
    ~FileContentWriter();

    // Reads all of `source`. `previous` is the same file in an earlier snapshot (of the same domain), or what
    // an interrupted run has of it, or null.
    FileContentResult write(ContentSource& source, const TreeEntry* previous,
                            const FileWriteOptions& options);
    // What signs the pages of large files, for sources that do it while they read.
    const PageSigner& signer() const { return signer_; }

  private:
    FileContentResult write_whole(Bytes data, const TreeEntry* previous);
    FileContentResult write_chunked(ContentSource& source, std::optional<SourceExtent> first);

    ContentWriter& writer_;
    NodeReader& nodes_;
    PackReader& packs_;
    Secret domain_key_;
    GearSplitter gear_;
    PageSigner signer_;
    Usable usable_;
    FileContentSettings settings_;
    RewriteBudget rewrites_;
    Bytes buffer_;
};

} // namespace holdfast
