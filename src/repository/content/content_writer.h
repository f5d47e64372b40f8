// New content on its way into a repository: identify, look up, gather into frames.
#pragma once

#include "base/lru_cache.h"
#include "repository/content/known_blobs.h"
#include "repository/incompressible.h"
#include "repository/node/location.h"
#include "repository/pack/pack_pipeline.h"

namespace holdfast {

struct ContentTotals {
    std::uint64_t new_bytes = 0;   // raw bytes that went into frames, nodes not counted
    std::uint64_t known_bytes = 0; // raw bytes that were found where they already lie
};

// Blobs that follow each other share frames, so that small ones compress as well as large ones. What will not
// compress is kept apart from what will. Not thread-safe: one thread captures; the pipeline works behind it.
class ContentWriter {
  public:
    // `domain_key` is copied. The pipeline and the known blobs must outlive it.
    ContentWriter(PackPipeline& pipeline, KnownBlobs& known, ByteView domain_key, std::uint8_t cls);
    ~ContentWriter();

    BlobId identify(ByteView data) const;
    // Where the blob lies: found, or stored now. At most max_frame_bytes, at least 1 byte. Frames of small
    // blobs end at `frame_bytes`, so that fetching one blob does not fetch much else.
    Location put_blob(const BlobId& id, ByteView data, std::size_t frame_bytes = max_frame_bytes);
    // Where the blob lies, if it is known.
    std::optional<Location> find_blob(const BlobId& id, ByteView data);
    // Stores bytes that nobody will look up: their place in the file identifies them.
    // Its frame is shared only with what is stored in this way, and `effort` goes for all of it.
    Location put_anonymous(ByteView data, Effort effort = Effort::usual);
    // The same, and takes the bytes over: where they fill a frame, nothing is copied.
    Location put_anonymous(Bytes&& data, Effort effort = Effort::usual);
    // A buffer that a frame was made of, with whatever is in it; empty when there is none. Thread-safe.
    Bytes spare_buffer() { return pipeline_.spare_buffer(); }
    // Where the node lies: at `before` if it is the same node, or found, or stored now. `before` must be
    // referable.
    NodeRef put_node(Bytes node, const NodeRef* before = nullptr);

    // Tells of a node that an earlier snapshot has and that may be referred to: when it is put again soon, it
    // is not looked up and not stored.
    void remember_node(const NodeRef& node);

    // Ends the frames that are being gathered.
    void end_data_frames();
    void end_all_frames();
    const ContentTotals& totals() const { return totals_; }

  private:
    // A frame that is being gathered; of data that looks incompressible, with no effort.
    struct OpenFrame {
        std::uint8_t kind;
        std::uint8_t cls;
        Effort effort;
        bool begun = false;
        FrameAddress address;
        Bytes raw;
        std::vector<BlobRecord> blobs;
    };
    Location append(OpenFrame& frame, ByteView data, std::size_t frame_bytes, Bytes* owned = nullptr);
    Location append_anonymous(ByteView data, Effort effort, Bytes* owned);
    void end_frame(OpenFrame& frame);
    OpenFrame& data_frame_for(ByteView data);

    PackPipeline& pipeline_;
    KnownBlobs& known_;
    Secret domain_key_;
    OpenFrame compressible_;
    OpenFrame incompressible_;
    OpenFrame pages_; // that are anonymous
    OpenFrame nodes_;
    IncompressibleDetector detector_;
    LruCache<NodeId, Location> remembered_nodes_;
    ContentTotals totals_;
};

} // namespace holdfast
