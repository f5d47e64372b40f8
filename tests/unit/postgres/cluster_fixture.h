// A directory in the shape of a data directory of version 15, and captures of it into a repository in memory.
#pragma once

#include "base/crc32c.h"
#include "postgres/capture/capture_cluster.h"
#include "postgres/capture/polite_files.h"
#include "real_control_files.h"
#include "repository/content/stored_content.h"
#include "repository/node/directory_cursor.h"
#include "support/content_repository.h"
#include "support/error_matchers.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <set>

#include <gtest/gtest.h>

namespace holdfast::postgres::test {

using holdfast::test::ContentRepository;
namespace fs = std::filesystem;

constexpr std::size_t block_bytes = 8192;

// Bytes of `seed` in a page that PostgreSQL would believe.
inline Bytes page_of_relation(std::uint64_t seed, std::uint32_t block, Lsn lsn = {0x1000}) {
    Bytes page(block_bytes);
    SeededRandom(seed).fill(MutableByteView(page).subspan(4096));
    const auto put16 = [&](std::size_t at, std::uint32_t value) {
        page[at] = static_cast<Byte>(value);
        page[at + 1] = static_cast<Byte>(value >> 8);
    };
    const auto put32 = [&](std::size_t at, std::uint64_t value) {
        put16(at, static_cast<std::uint32_t>(value & 0xffff));
        put16(at + 2, static_cast<std::uint32_t>(value >> 16 & 0xffff));
    };
    put32(0, lsn.value >> 32);
    put32(4, lsn.value & 0xffffffff);
    put16(12, 24);
    put16(14, 4096);
    put16(16, block_bytes);
    put16(18, block_bytes | 4);
    put16(8, page_checksum(page, block));
    return page;
}

// Puts itself between a capture and the files.
class HookedFiles final : public ClusterFiles {
  public:
    // Called before a file is opened; an error is what opening answers.
    std::function<std::optional<Error>(const std::string& path)> on_open;
    // Called after each read; may change what was read, how much that was, and throw nothing.
    std::function<Result<std::size_t>(const std::string& path, std::uint64_t offset, MutableByteView bytes,
                                      std::size_t got)>
        on_read;

    Result<std::unique_ptr<ClusterFile>> open(int directory_fd, const std::string& name,
                                              const std::string& path, Access access) override {
        if (on_open) {
            if (std::optional<Error> error = on_open(path)) return std::unexpected(*error);
        }
        Result<std::unique_ptr<ClusterFile>> file = files_.open(directory_fd, name, path, access);
        if (!file) return file;
        return std::make_unique<Hooked>(*this, path, std::move(*file));
    }
    std::uint64_t bytes_read(const std::string& path) {
        const std::scoped_lock lock(mutex_);
        return read_[path];
    }

  private:
    class Hooked final : public ClusterFile {
      public:
        Hooked(HookedFiles& owner, std::string path, std::unique_ptr<ClusterFile> file)
            : owner_(owner), path_(std::move(path)), file_(std::move(file)) {}
        std::uint64_t size_bytes() const override { return file_->size_bytes(); }
        Result<std::optional<FileExtent>> next_extent() override { return file_->next_extent(); }
        Result<std::size_t> read(std::uint64_t offset, MutableByteView out) override {
            Result<std::size_t> got = file_->read(offset, out);
            const std::scoped_lock lock(owner_.mutex_);
            if (got) owner_.read_[path_] += *got;
            return got && owner_.on_read ? owner_.on_read(path_, offset, out, *got) : got;
        }

      private:
        HookedFiles& owner_;
        std::string path_;
        std::unique_ptr<ClusterFile> file_;
    };
    PoliteFiles files_;
    std::mutex mutex_;
    std::map<std::string, std::uint64_t> read_;
};

// What a test says has changed; everything else has not.
class SaidChanges final : public ChangedBlocks {
  public:
    std::map<RelationSegment, SegmentChanges> changes;
    SegmentChanges of(const RelationSegment& segment) const override {
        const auto found = changes.find(segment);
        return found == changes.end() ? SegmentChanges{SegmentChanges::What::none, {}} : found->second;
    }
};

class ClusterTest : public testing::Test {
  protected:
    ClusterTest() {
        write("global/pg_control", control_file(15));
        write("global/1260", relation(1, 3));
        write("global/pg_filenode.map", "map");
        write("PG_VERSION", "15\n");
        write("base/5/1000", relation(2, 2500)); // about 20 MB
        write("base/5/1000_fsm", relation(3, 3));
        write("base/5/1000_vm", relation(4, 1));
        write("base/5/2000", relation(5, 120)); // about 1 MB
        write("base/5/2001", "");
        write("postgresql.conf", "port = 5432\n");
        fs::create_directories(data() / "pg_wal/archive_status");
        fs::create_directories(data() / "pg_tblspc");
    }

    fs::path data() const { return repository_.scratch.path() / "main"; }
    fs::path outside(const std::string& name) const { return repository_.scratch.path() / name; }

    static Bytes relation(std::uint64_t seed, std::uint32_t blocks, std::uint32_t first = 0) {
        Bytes bytes;
        for (std::uint32_t block = 0; block < blocks; ++block) {
            const Bytes page = page_of_relation(seed * 1'000'000 + block, first + block);
            bytes.insert(bytes.end(), page.begin(), page.end());
        }
        return bytes;
    }
    // `step` tells versions of the file apart.
    static Bytes control_file(int version, unsigned step = 0) {
        const auto real = std::ranges::find(real_control_files, version, &RealControlFile::major);
        Bytes bytes = from_base64(real->base64);
        bytes.resize(288 + 4);                           // up to the sum, in all versions before 18
        bytes[64] = static_cast<Byte>(bytes[64] + step); // the next transaction
        bytes[252] = 1;                                  // pages have checksums
        const std::uint32_t crc = crc32c(0, ByteView(bytes).first(288));
        for (std::size_t i = 0; i < 4; ++i) bytes[288 + i] = static_cast<Byte>(crc >> (8 * i));
        bytes.resize(control_file_bytes);
        return bytes;
    }

    void write(const std::string& path, ByteView bytes) {
        fs::create_directories((data() / path).parent_path());
        std::ofstream(data() / path, std::ios::binary) << as_text(bytes);
    }
    void write(const std::string& path, std::string_view text) { write(path, as_bytes(text)); }
    void write_block(const std::string& path, std::uint32_t block, const Bytes& page) {
        std::fstream file(data() / path, std::ios::binary | std::ios::in | std::ios::out);
        file.seekp(static_cast<std::streamoff>(block * block_bytes));
        file << as_text(page);
    }
    static Bytes content_of(const fs::path& path) {
        std::ifstream in(path, std::ios::binary);
        const std::string text{std::istreambuf_iterator<char>(in), {}};
        return Bytes(text.begin(), text.end());
    }

    struct Captured {
        ClusterCapture capture;
        Snapshot snapshot;
        std::uint64_t new_bytes = 0;
    };
    ClusterCaptureRequest request() {
        ClusterCaptureRequest request;
        request.data_directory = data().string();
        request.start = Lsn{0x5000};
        request.page_pause = Duration::zero();
        request.files = &files_;
        return request;
    }
    std::unique_ptr<BackupRun> begin(std::stop_token stop = {}) {
        BackupRunSettings settings = ContentRepository::run_settings();
        settings.kind = "postgresql";
        return repository_.begin(settings, std::move(stop));
    }
    Captured capture() { return capture(request()); }
    Captured capture(const ClusterCaptureRequest& wanted) {
        const std::unique_ptr<BackupRun> run = begin();
        Captured result;
        Progress progress;
        result.capture = capture_cluster(*run, wanted, progress, {});
        result.new_bytes = run->writer().totals().new_bytes;
        const NodeRef root = finish_cluster_tree(*run, result.capture, {}, repository_.clock.now());
        result.snapshot = run->commit(root, result.capture.totals, SnapshotState::complete).snapshot;
        return result;
    }
    // With what has changed since the last snapshot.
    ClusterCaptureRequest request_with(const SaidChanges& changes, const Captured& since) {
        ClusterCaptureRequest wanted = request();
        wanted.changes = &changes;
        wanted.changes_since = since.snapshot.id;
        return wanted;
    }

    // All paths of a tree, directories with a slash at their end.
    std::set<std::string> paths(const NodeRef& root, const std::string& above = "") {
        std::set<std::string> found;
        DirectoryCursor cursor(repository_.repository->nodes(), root);
        while (const TreeEntry* entry = cursor.next()) {
            const bool directory = entry->type == EntryType::directory;
            const std::string path = above + entry->name + (directory ? "/" : "");
            found.insert(path);
            if (directory) found.merge(paths(entry->children, path));
        }
        return found;
    }
    std::optional<TreeEntry> entry(const Captured& captured, const std::string& path) {
        return find_path(repository_.repository->nodes(), captured.snapshot.root, path);
    }
    Bytes stored(const Captured& captured, const std::string& path) {
        const std::optional<TreeEntry> found = entry(captured, path);
        EXPECT_TRUE(found.has_value()) << path;
        if (!found) return {};
        Bytes bytes(found->size + 1);
        StoredContent content(repository_.repository->nodes(), repository_.repository->packs(), *found);
        bytes.resize(content.read(0, bytes));
        return bytes;
    }
    // What differs between the directory and the snapshot's files; empty when nothing does.
    std::string difference(const Captured& captured) {
        for (const std::string& path : paths(captured.snapshot.root)) {
            if (path.ends_with('/') || !path.starts_with("data/")) continue;
            if (stored(captured, path) != content_of(data() / path.substr(5))) return path;
        }
        return "";
    }

    ContentRepository repository_;
    HookedFiles files_;
    static constexpr RelationSegment large{{default_tablespace, 5, 1000, Fork::main}, 0};
    static constexpr RelationSegment medium{{default_tablespace, 5, 2000, Fork::main}, 0};
};

} // namespace holdfast::postgres::test
