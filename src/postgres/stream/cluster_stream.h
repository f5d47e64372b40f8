// A cluster's files as the server sends them: received, checked and signed by a thread of its own, taken by
// another one piece by piece.
#pragma once

#include "base/bounded_queue.h"
#include "base/progress.h"
#include "base/task_group.h"
#include "postgres/capture/page_check.h"
#include "postgres/files/exclusions.h"
#include "postgres/server/base_backup_stream.h"
#include "repository/content/content_source.h"
#include "store/throttle_store.h"

#include <atomic>
#include <functional>
#include <mutex>
#include <optional>
#include <variant>

namespace holdfast::postgres {

// One member of an archive. Of a file the content follows, in pieces, and then its end.
struct StreamedEntry {
    TarEntry entry;
    std::string path; // relative to the data directory; through pg_tblspc/<oid> for tablespaces
};
// The next bytes of a file: a whole MiB from each multiple of it, unless the file ends.
struct StreamedBlock {
    std::uint64_t offset = 0;
    SourceBlock block;
};
struct StreamedFileEnd {};
struct StreamedArchiveEnd {};

using StreamPiece = std::variant<BaseBackupStart, BackupArchive, StreamedEntry, StreamedBlock,
                                 StreamedFileEnd, StreamedArchiveEnd>;

struct ClusterStreamSettings {
    BaseBackupOptions backup;
    int major_version = 0;
    // Without `rules.unsettled_from`, which is where the backup begins.
    PageCheckSettings pages;
    std::size_t waiting_bytes = std::size_t{16} << 20;
    std::uint64_t bytes_per_second = 0; // 0: no limit
};

// What must outlive the stream.
struct ClusterStreamTools {
    const PageSigner& signer;
    std::function<Bytes()> spare_buffer; // from any thread
    Clock& clock;
    Progress& progress;
};

// One thread takes. Destroyed before finish(), it ends the backup.
class ClusterStream {
  public:
    // Has the server begin. `connection` must outlive it, and do nothing else meanwhile.
    ClusterStream(ReplicationConnection& connection, ClusterStreamSettings settings, ClusterStreamTools tools,
                  std::stop_token stop);
    ~ClusterStream();

    // Waits until the server has begun. To be called first, once. Throws what stream_base_backup throws.
    const BaseBackupStart& wait_for_start();
    // The next piece; nothing at the end. Throws what stream_base_backup throws.
    std::optional<StreamPiece> next();
    // After the end: what the server said last.
    BaseBackupEnd finish();

    // After the end: pages that were not good. None was read again.
    PageFindings take_findings();
    std::uint64_t received_bytes() const { return received_bytes_; }
    // A buffer that was taken and is needed no more.
    void give_back(Bytes buffer);

  private:
    class Receiver;
    Bytes buffer();

    ClusterStreamSettings settings_;
    ClusterStreamTools tools_;
    BoundedQueue<StreamPiece> queue_;
    std::mutex mutex_;
    std::vector<Bytes> spare_;
    std::optional<PageCheck> check_; // since it began
    BaseBackupStart start_;
    BaseBackupEnd end_;
    std::atomic<std::uint64_t> received_bytes_{0};
    std::stop_token stop_;
    TaskGroup thread_; // last: joined before the rest goes
};

// A file of the stream, as content to be stored: once, from its beginning to its end.
class StreamedFile final : public ContentSource {
  public:
    StreamedFile(ClusterStream& stream, std::uint64_t size_bytes) : stream_(stream), size_(size_bytes) {}

    std::uint64_t size_bytes() const override { return size_; }
    std::optional<SourceExtent> next_extent() override;
    std::size_t read(std::uint64_t offset, MutableByteView out) override;
    void read_block(std::uint64_t offset, std::size_t length, SourceBlock& block) override;
    // Passes over what was not read.
    void finish();

  private:
    void expect(std::uint64_t offset);

    ClusterStream& stream_;
    const std::uint64_t size_;
    bool given_ = false; // the extent
    std::uint64_t position_ = 0;
    SourceBlock block_; // at hand, and how much of it was read
    std::size_t used_ = 0;
};

} // namespace holdfast::postgres
