// The content of files on its way out of a repository: which frames, fetched together, each piece to its
// place.
#pragma once

#include "base/bounded_queue.h"
#include "base/error.h"
#include "base/task_group.h"
#include "repository/node/entry.h"
#include "repository/node/file_map_node.h"
#include "repository/node/node_reader.h"
#include "repository/pack/pack_reader.h"

#include <atomic>
#include <functional>
#include <memory>
#include <vector>

namespace holdfast {

// Calls `take` with each segment of a large file, the offset at which it begins and its length; nothing for
// other files. Throws Error(corrupt) when the segments are not all that the file's size asks for: what they
// lack must not be taken for a hole.
void for_each_segment(
    NodeReader& nodes, const TreeEntry& file,
    const std::function<void(const Segment& segment, std::uint64_t start, std::uint64_t length)>& take);

// Calls `take` with the extents of a file, offsets from the start of the file, in ascending portions: all of
// a small file, one segment of a large one at a time. Throws as for_each_segment.
void for_each_extent(NodeReader& nodes, const TreeEntry& file,
                     const std::function<void(const Extents&)>& take);

// Where pieces of one file go. write() is called by several threads at once, for different ranges; an Error
// that it throws fails the file, anything else stops the reader. Of every file that was begun, exactly one of
// done(), failed() and abandoned() is called, once, when no more pieces will come; the last of them at the
// latest when the reader is destroyed. What these three throw stops the reader, and comes out of its next
// call; of abandoned() it is lost.
class ContentSink {
  public:
    virtual ~ContentSink() = default;
    virtual void write(std::uint64_t file_offset, ByteView bytes) = 0;
    // Every piece was written.
    virtual void done() = 0;
    // A piece could not be had or written; what came before and after it was written all the same.
    virtual void failed(const Error& error) = 0;
    // The reader stopped before every piece was tried: by request, or because of an error that is not this
    // file's.
    virtual void abandoned() = 0;
};

struct FileRange {
    std::uint64_t offset = 0;
    std::uint64_t length = 0;
    bool operator==(const FileRange&) const = default;
};

// What is in its place already of what was added with it.
class PresentContent {
  public:
    virtual ~PresentContent() = default;
    // The parts of the range that are to be fetched, ascending and apart. Called by several threads at once,
    // before what is asked for is written. An Error that it throws fails the file.
    virtual std::vector<FileRange> missing(std::uint64_t file_offset, std::uint64_t length) = 0;
};

struct ContentReaderSettings {
    unsigned workers = worker_count();
    // Pieces are gathered until they cover this much and then fetched in the order in which they lie in
    // packs; the first few times less, so that the workers begin soon.
    std::uint64_t batch_bytes = 512u << 20;
    std::size_t batch_files = 1024;
};

// One thread adds; workers look at what is there, fetch, prove and write. Errors of one frame fail the files
// that need it and nothing else. Once it has stopped, add(), finish_file() and wait() throw the first error,
// or Error(cancelled).
class ContentReader {
  public:
    ContentReader(PackReader& packs, const ContentReaderSettings& settings, std::stop_token stop = {});
    ~ContentReader();

    // Begins a file. finish_file() must follow before the next begin_file(), or the file is abandoned.
    void begin_file(std::shared_ptr<ContentSink> sink);
    // Where something may be there already, only what `present` says is missing is fetched.
    void add(const Extents& extents, const std::shared_ptr<PresentContent>& present = nullptr);
    // The file cannot be completed; finish_file() still must follow.
    void fail_file(const Error& error);
    void finish_file();
    // Returns when everything added was written or has failed.
    void wait();

  private:
    struct File;
    struct Piece;
    struct Group;
    void dispatch();
    void write_groups(std::stop_token stop);
    static void leave_out_present(Group& group);
    void write_group(Group& group);

    PackReader& packs_;
    const ContentReaderSettings settings_;
    BoundedQueue<std::shared_ptr<Group>> groups_;
    std::shared_ptr<File> file_;
    std::vector<Piece> pieces_;
    std::uint64_t gathered_bytes_ = 0;
    std::size_t gathered_files_ = 0;
    unsigned smaller_batches_ = 4; // that are still to come; each is half of the one behind it
    std::mutex mutex_;
    std::condition_variable_any idle_;
    std::size_t groups_under_way_ = 0;
    TaskGroup threads_;
};

} // namespace holdfast
