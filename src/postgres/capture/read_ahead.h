// Reading the files of a cluster ahead of who stores them, on threads of their own, which also check and sign
// their pages.
#pragma once

#include "base/progress.h"
#include "base/task_group.h"
#include "postgres/capture/cluster_file.h"
#include "postgres/capture/page_check.h"
#include "repository/content/content_source.h"
#include "store/throttle_store.h"

#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>

namespace holdfast::postgres {

using SharedDirectory = std::shared_ptr<const FileDescriptor>;

// One file to read.
struct ReadOrder {
    SharedDirectory directory;
    std::string name;
    std::string path;                        // relative to the data directory
    std::uint64_t size_bytes = 0;            // as a stat said; it may have changed
    std::optional<RelationSegment> relation; // its pages are checked
    // Only these pages of page_bytes, ascending and apart, and what lies behind `known_bytes`. Nothing: all.
    std::optional<std::vector<PageRange>> pages;
    std::uint64_t known_bytes = 0;
};

struct ReadAheadSettings {
    unsigned readers = 2;
    // What may be read and not taken yet; a single file of up to 1 MiB may come on top of it.
    std::size_t waiting_bytes = 16u << 20;
};

struct ReadAheadTools {
    ClusterFiles& files;
    PageCheck& check;
    const PageSigner& signer;
    RateLimit& rate;
    std::function<Bytes()> spare_buffer; // from any thread
    Progress& progress;
};

class ReadAhead;

// A file that is being read ahead, as content to be stored. One thread, which calls close() at the end.
class AheadFile final : public ContentSource {
  public:
    AheadFile(ReadAhead& owner, ReadOrder order);
    ~AheadFile() override;

    // Waits until it is opened. What hindered that, if something did: Error(not_found) when it has vanished.
    std::optional<Error> opened();
    const ReadOrder& order() const { return order_; }
    // Whether an error came from here, and not from who stores what was read.
    bool failed() const { return failed_; }
    // Drops what was read ahead and closes the file.
    void close();

    std::uint64_t size_bytes() const override { return size_bytes_; }
    std::optional<SourceExtent> next_extent() override;
    std::size_t read(std::uint64_t offset, MutableByteView out) override;
    void read_block(std::uint64_t offset, std::size_t length, SourceBlock& block) override;

  private:
    friend class ReadAhead;
    enum class State { waiting, opening, open, failed };
    struct Piece {
        std::uint64_t offset = 0;
        std::size_t length = 0;
        std::size_t at = 0;  // in the slot's bytes
        std::size_t got = 0; // less than the length where the file ends
    };
    // What is read at once.
    struct Slot {
        std::vector<Piece> pieces;
        std::size_t reserved = 0;
        Bytes bytes;
        std::vector<PageSignature> signatures; // of a single piece of a large file
        bool ready = false;
        std::optional<Error> error;
        std::uint64_t end() const { return pieces.back().offset + pieces.back().length; }
    };
    struct Stretch {
        std::uint64_t begin = 0;
        std::uint64_t end = 0;
    };

    bool large() const { return size_bytes_ >= segmented_file_bytes_; }
    void plan();
    bool next_slot(Slot& slot);
    std::shared_ptr<Slot> slot_at(std::uint64_t offset, std::uint64_t& next_begin);
    template <typename Value>
    Value value_of(Result<Value> result);

    static constexpr std::uint64_t segmented_file_bytes_ = std::uint64_t{16} << 20;

    ReadAhead& owner_;
    const ReadOrder order_;
    bool failed_ = false; // of the taking thread
    std::size_t next_extent_ = 0;

    // Written by the thread that opens it, read by others afterwards.
    std::unique_ptr<ClusterFile> file_;
    std::uint64_t size_bytes_ = 0;
    std::vector<FileExtent> extents_;
    std::vector<Stretch> stretches_; // to read

    // Guarded by the owner's mutex.
    State state_ = State::waiting;
    std::optional<Error> error_;
    std::size_t next_stretch_ = 0;
    std::uint64_t planned_to_ = 0;
    bool planned_ = false; // to the end
    bool closed_ = false;
    std::deque<std::shared_ptr<Slot>> slots_;
};

// One thread adds and takes. Files are read in the order in which they are added, so that is the order in
// which they must be taken and closed. Everything in the tools must outlive it.
class ReadAhead {
  public:
    ReadAhead(const ReadAheadSettings& settings, ReadAheadTools tools, std::stop_token stop);
    ~ReadAhead();

    std::shared_ptr<AheadFile> add(ReadOrder order);
    // What was read from files.
    std::uint64_t read_bytes() const;

  private:
    friend class AheadFile;
    struct Task {
        std::shared_ptr<AheadFile> file;
        std::shared_ptr<AheadFile::Slot> slot; // null: the file is to be opened
        bool whole = false;                    // opened and read at once
    };
    void work(const std::stop_token& stop);
    std::optional<Task> next_task(const std::stop_token& stop);
    std::optional<Task> task_now();
    bool room_for(std::size_t bytes) const;
    void open(const Task& task);
    void read_whole(const Task& task, const std::stop_token& stop);
    void read_slot(AheadFile& file, AheadFile::Slot& slot, const std::stop_token& stop);
    void deliver(AheadFile& file, const std::shared_ptr<AheadFile::Slot>& slot);
    void release(AheadFile::Slot& slot);
    // Reads for the taking thread what nobody had planned.
    Result<std::size_t> read_now(AheadFile& file, std::uint64_t offset, MutableByteView out,
                                 const std::stop_token& stop);
    Bytes buffer(std::size_t size);
    [[noreturn]] void stopped();

    const ReadAheadSettings settings_;
    ReadAheadTools tools_;
    mutable std::mutex mutex_;
    std::condition_variable_any changed_;
    std::deque<std::shared_ptr<AheadFile>> queue_; // not planned to their end yet
    std::size_t waiting_bytes_ = 0;
    std::uint64_t read_bytes_ = 0;
    std::vector<Bytes> spare_;
    TaskGroup threads_; // last: joined before the rest goes
};

} // namespace holdfast::postgres
