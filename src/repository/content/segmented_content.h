// The content of a file of 16 MiB or more: page signatures throughout, what has changed stored anew, the rest
// referred to.
#pragma once

#include "repository/content/file_content.h"
#include "repository/content/known_changes.h"
#include "repository/content/previous_segments.h"
#include "repository/content/run_chunker.h"
#include "repository/content/segment_writer.h"

namespace holdfast {

// What a SegmentedContentWriter works with; all of it outlives the writer.
struct ContentTools {
    ContentWriter& writer;
    NodeReader& nodes;
    PackReader& packs;
    GearSplitter& gear;
    const PageSigner& signer;
    const FileContentWriter::Usable& usable;
    const FileContentSettings& settings;
    RewriteBudget& rewrites;
};

// For one file, once.
class SegmentedContentWriter {
  public:
    SegmentedContentWriter(const ContentTools& tools, ByteView domain_key, ContentSource& source,
                           const TreeEntry* previous, const FileWriteOptions& options);
    FileContentResult write();

  private:
    // Pages that are stored anew together: because they changed, or to leave a dead frame behind.
    enum class Run { none, changed, rewritten };

    FileContentResult write_all();
    FileContentResult so_far();
    std::uint64_t keep_trusted();
    bool keep_segment(std::uint64_t offset, std::uint64_t end);
    void end_anonymous_frames();
    void tell_completed();
    void read_block(std::uint64_t offset, std::size_t length);
    void read_wanted_pages(std::uint64_t offset, std::size_t length);
    void choose_pages(std::uint64_t offset, std::size_t length);
    void sign_block(std::uint64_t offset);
    void write_data(std::uint64_t begin, std::uint64_t end);
    void write_hole(std::uint64_t begin, std::uint64_t end);
    void write_block(std::uint64_t offset);
    void tell_differences(std::uint64_t offset, const std::vector<bool>& same, std::size_t known);
    void keep_or_rewrite(std::uint64_t offset, std::uint64_t from, std::uint64_t to);
    bool previous_extents(std::uint64_t begin, std::uint64_t length, Extents& extents);
    bool keep_pages(std::uint64_t begin, std::uint64_t end);
    bool leave_behind(const FrameAddress& frame);
    void store_chunk(std::uint64_t offset, ByteView chunk);
    void store_changed_chunk(std::uint64_t offset, ByteView chunk, const BlobId& id);
    bool store_shifted(std::uint64_t offset, ByteView chunk);
    void store_anonymous(std::uint64_t offset, ByteView bytes);
    void begin_run(std::uint64_t offset, Run kind);
    void append_changed(std::uint64_t offset, ByteView bytes, Run kind);
    bool hand_over_block(std::uint64_t offset);
    Effort effort_for(std::size_t bytes);
    void end_run();
    void store_run();
    void place(std::uint64_t offset, const Location& location);
    void choose_victims(std::uint64_t group);
    bool may_leave_something(std::uint64_t group) const;

    ContentTools tools_;
    ContentSource& source_;
    const FileWriteOptions& options_;
    bool known_before_;
    // By how much the file grew or shrank: after one insertion or deletion, what lies behind it has moved
    // that far. 0 when that is not known.
    std::int64_t shift_ = 0;
    PreviousSegments previous_;
    PreviousSegments trusted_;
    SegmentWriter segments_;
    RunChunker chunker_;
    Hasher digest_;
    // What may differ, if the source knows and there is something to compare with.
    std::optional<KnownChanges> changes_;
    // The block that is being written, its signatures, and which of its pages were not read.
    SourceBlock block_;
    std::vector<PageSignature> signatures_;
    std::vector<bool> unread_;
    // The run of pages that is open: it begins where the last placed byte ends.
    Bytes run_;
    Run run_kind_ = Run::none;
    bool chunking_ = false;
    std::uint64_t placed_to_ = 0;
    std::uint64_t anonymous_bytes_ = 0; // since the last frame was ended
    std::uint64_t anonymous_in_all_ = 0;
    std::uint64_t told_bytes_ = 0; // completed when segment_done was called last
    bool ended_ = false;           // the source was shorter than it said
    // Frames that are mostly dead, with the bytes that live in them. Each is looked at once the first page in
    // it comes: it moves to left_behind_ if the budget allows, and is no victim any more if not. Half of a
    // frame gains nothing.
    std::unordered_map<FrameAddress, std::uint64_t, FrameAddressHash> victims_;
    FrameAddressSet left_behind_;
    std::uint64_t victims_of_group_ = UINT64_MAX;
    FileContentResult result_;
};

} // namespace holdfast
