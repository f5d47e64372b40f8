#include "postgres/stream/cluster_stream.h"

#include "base/error.h"
#include "postgres/stream/label_files.h"
#include "repository/node/file_map_node.h"

#include <algorithm>

#include <fmt/format.h>

namespace holdfast::postgres {

namespace {

constexpr std::size_t block_bytes = std::size_t{1} << 20;
constexpr std::size_t small_piece_bytes = 512; // what an entry counts in the queue
constexpr std::size_t most_spare_buffers = 4;
static_assert(segment_bytes % block_bytes == 0, "blocks lie within segments, as they are stored");

} // namespace

// The receiving side; on the thread of the stream.
class ClusterStream::Receiver final : public BaseBackupVisitor {
  public:
    Receiver(ClusterStream& stream, std::stop_token stop)
        : stream_(stream),
          stop_(std::move(stop)),
          exclusions_(stream.settings_.major_version),
          rate_(stream.settings_.bytes_per_second, stream.tools_.clock) {}

    void started(const BaseBackupStart& start) override {
        std::uint64_t total = 0;
        for (const BackupArchive& archive : start.archives) total += archive.estimated_bytes;
        stream_.tools_.progress.set_total(total);
        PageCheckSettings pages = stream_.settings_.pages;
        pages.rules.unsettled_from = start.start;
        stream_.check_.emplace(pages, stream_.tools_.clock);
        push(start);
    }

    void begin_archive(const BackupArchive& archive) override {
        prefix_ = archive.tablespace_oid == 0 ? "" : fmt::format("pg_tblspc/{}/", archive.tablespace_oid);
        push(archive);
    }
    void end_archive() override { push(StreamedArchiveEnd{}); }

    void entry(const TarEntry& entry) override {
        StreamedEntry streamed{entry, prefix_ + entry.path};
        size_ = entry.size;
        offset_ = 0;
        const bool directory = entry.kind == TarEntry::Kind::directory;
        wanted_ = is_label_file(streamed.path) || exclusions_.of(streamed.path, directory) != Inclusion::skip;
        is_file_ = entry.kind == TarEntry::Kind::file;
        if (!wanted_) return;
        path_ = streamed.path;
        const DataPath place = parse_data_path(path_);
        relation_.reset();
        if (is_file_ && place.kind == PathKind::relation) relation_ = place.segment();
        begin_block();
        push(std::move(streamed));
    }

    void data(ByteView piece) override {
        rate_.take(piece.size(), stop_);
        stream_.received_bytes_ += piece.size();
        stream_.tools_.progress.add_done(piece.size());
        if (!wanted_) return;
        while (!piece.empty()) {
            const std::size_t part = std::min(piece.size(), block_.block.bytes.size() - filled_);
            std::ranges::copy(piece.first(part),
                              block_.block.bytes.begin() + static_cast<std::ptrdiff_t>(filled_));
            filled_ += part;
            piece = piece.subspan(part);
            if (filled_ == block_.block.bytes.size()) end_block();
        }
    }

    void end_entry() override {
        if (!is_file_) return;
        stream_.tools_.progress.add_done(0, 1);
        if (wanted_) push(StreamedFileEnd{});
    }

  private:
    void begin_block() {
        filled_ = 0;
        block_.offset = offset_;
        const std::size_t length = std::min<std::uint64_t>(block_bytes, size_ - offset_);
        if (length == block_bytes) block_.block.bytes = stream_.buffer();
        block_.block.bytes.resize(length);
    }

    void end_block() {
        const Bytes& bytes = block_.block.bytes;
        if (relation_) stream_.check_->check_once(*relation_, path_, offset_, bytes);
        block_.block.signatures.clear();
        if (size_ >= segmented_file_bytes) {
            block_.block.signatures.resize(pages_of(bytes.size()));
            stream_.tools_.signer.sign(bytes, block_.block.signatures);
        }
        offset_ += bytes.size();
        push(std::exchange(block_, {}));
        if (offset_ < size_) begin_block();
    }

    void push(StreamPiece piece) {
        std::size_t size = small_piece_bytes;
        if (const auto* block = std::get_if<StreamedBlock>(&piece)) size += block->block.bytes.size();
        if (!stream_.queue_.push(std::move(piece), size, stop_))
            throw Error(ErrorCode::cancelled, "stopped before it was done");
    }

    ClusterStream& stream_;
    const std::stop_token stop_;
    const Exclusions exclusions_;
    RateLimit rate_;
    std::string prefix_, path_;
    bool wanted_ = false, is_file_ = false;
    std::optional<RelationSegment> relation_;
    std::uint64_t size_ = 0, offset_ = 0; // of the file, and where its block at hand begins
    StreamedBlock block_;
    std::size_t filled_ = 0;
};

ClusterStream::ClusterStream(ReplicationConnection& connection, ClusterStreamSettings settings,
                             ClusterStreamTools tools, std::stop_token stop)
    : settings_(std::move(settings)),
      tools_(std::move(tools)),
      queue_(settings_.waiting_bytes),
      stop_(std::move(stop)),
      thread_(stop_) {
    thread_.start([this, &connection](const std::stop_token& token) {
        Receiver receiver(*this, token);
        end_ = stream_base_backup(connection, settings_.backup, receiver, token);
        queue_.close();
    });
}

ClusterStream::~ClusterStream() = default;

const BaseBackupStart& ClusterStream::wait_for_start() {
    std::optional<StreamPiece> first = next();
    if (!first || !std::holds_alternative<BaseBackupStart>(*first))
        throw Error(ErrorCode::internal, "a stream of a cluster does not begin with its start");
    start_ = std::get<BaseBackupStart>(std::move(*first));
    return start_;
}

std::optional<StreamPiece> ClusterStream::next() {
    std::optional<StreamPiece> piece = queue_.pop(thread_.stop_token());
    if (piece) return piece;
    if (thread_.stop_token().stop_requested()) {
        thread_.wait();
        throw Error(ErrorCode::cancelled, "stopped before it was done");
    }
    return std::nullopt;
}

BaseBackupEnd ClusterStream::finish() {
    thread_.wait();
    return end_;
}

PageFindings ClusterStream::take_findings() { return check_->take_findings(); }

void ClusterStream::give_back(Bytes buffer) {
    const std::scoped_lock lock(mutex_);
    if (buffer.capacity() >= block_bytes && spare_.size() < most_spare_buffers)
        spare_.push_back(std::move(buffer));
}

Bytes ClusterStream::buffer() {
    {
        const std::scoped_lock lock(mutex_);
        if (!spare_.empty()) {
            Bytes found = std::move(spare_.back());
            spare_.pop_back();
            return found;
        }
    }
    return tools_.spare_buffer();
}

std::optional<SourceExtent> StreamedFile::next_extent() {
    if (given_ || size_ == 0) return std::nullopt;
    given_ = true;
    return SourceExtent{0, size_, false};
}

// Has the block at hand be the one with what lies at `offset`.
void StreamedFile::expect(std::uint64_t offset) {
    if (offset != position_) throw Error(ErrorCode::internal, "a file of a stream is read out of order");
    if (used_ < block_.bytes.size()) return;
    stream_.give_back(std::move(block_.bytes));
    std::optional<StreamPiece> piece = stream_.next();
    StreamedBlock* const next = piece ? std::get_if<StreamedBlock>(&*piece) : nullptr;
    if (next == nullptr || next->offset != offset)
        throw Error(ErrorCode::internal, "the pieces of a stream are out of order");
    block_ = std::move(next->block);
    used_ = 0;
}

std::size_t StreamedFile::read(std::uint64_t offset, MutableByteView out) {
    std::size_t done = 0;
    while (done < out.size() && offset + done < size_) {
        expect(offset + done);
        const std::size_t part = std::min(out.size() - done, block_.bytes.size() - used_);
        std::copy_n(block_.bytes.begin() + static_cast<std::ptrdiff_t>(used_), part,
                    out.begin() + static_cast<std::ptrdiff_t>(done));
        used_ += part;
        done += part;
        position_ += part;
    }
    return done;
}

void StreamedFile::read_block(std::uint64_t offset, std::size_t length, SourceBlock& block) {
    expect(offset);
    if (used_ > 0 || block_.bytes.size() != length) return ContentSource::read_block(offset, length, block);
    block.bytes.swap(block_.bytes);
    block.signatures.swap(block_.signatures);
    position_ += length;
    used_ = block_.bytes.size();
}

void StreamedFile::finish() {
    while (position_ < size_) {
        expect(position_);
        position_ += block_.bytes.size() - used_;
        used_ = block_.bytes.size();
    }
    const std::optional<StreamPiece> piece = stream_.next();
    if (!piece || !std::holds_alternative<StreamedFileEnd>(*piece))
        throw Error(ErrorCode::internal, "the pieces of a stream are out of order");
}

} // namespace holdfast::postgres
