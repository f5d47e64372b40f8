#include "postgres/recovery/cluster_manifest.h"

#include "base/crc32c.h"
#include "base/error.h"
#include "base/file_descriptor.h"
#include "base/task_group.h"
#include "postgres/files/backup_manifest.h"

#include <array>
#include <atomic>
#include <filesystem>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

namespace holdfast::postgres {

namespace {

namespace fs = std::filesystem;

constexpr std::string_view manifest_name = "backup_manifest";
constexpr std::size_t batch_files = 4096;
constexpr std::size_t read_bytes = std::size_t{256} << 10;

// Fills in all but the path.
void sum_up(const ClusterManifestRequest& request, ManifestFile& file, Bytes& buffer,
            const std::stop_token& stop) {
    const std::string path = fmt::format("{}/{}", request.data_directory, file.path);
    const FileDescriptor open = open_file(path, O_RDONLY | O_NOFOLLOW);
    struct stat status{};
    if (::fstat(open.get(), &status) != 0) throw system_error(errno, path);
    file.modified = Timestamp(std::chrono::seconds(status.st_mtim.tv_sec));
    if (request.sums != nullptr) {
        const auto size = static_cast<std::uint64_t>(status.st_size);
        file.crc32c = request.sums->find(file.path, size);
        file.size = size;
        if (file.crc32c) return;
    }
    file.size = 0;
    std::uint32_t crc = 0;
    for (;;) {
        if (stop.stop_requested()) throw Error(ErrorCode::cancelled, "stopped before it was done");
        const std::size_t got = read_at(open.get(), file.size, buffer, path);
        crc = crc32c(crc, ByteView(buffer).first(got));
        file.size += got;
        if (got < buffer.size()) break;
    }
    file.crc32c = crc;
}

class ManifestWalk {
  public:
    ManifestWalk(const ClusterManifestRequest& request, BackupManifestWriter& writer, std::stop_token stop)
        : request_(request), writer_(writer), stop_(std::move(stop)) {}

    void add_directory(const std::string& path) {
        for (const fs::directory_entry& entry : fs::directory_iterator(absolute(path))) {
            const std::string name = entry.path().filename().string();
            const std::string below = path.empty() ? name : fmt::format("{}/{}", path, name);
            if (below == "pg_wal" || below == manifest_name) continue;
            const fs::file_status status = entry.symlink_status();
            if (fs::is_directory(status)) {
                add_directory(below);
            } else if (fs::is_symlink(status)) {
                if (path == "pg_tblspc")
                    add_directory(fmt::format("{}/{}", below, request_.tablespace_folder));
            } else if (fs::is_regular_file(status)) {
                add_file(below);
            }
        }
    }
    void flush() {
        std::atomic<std::size_t> next{0};
        TaskGroup workers(stop_);
        for (unsigned i = 0; i < std::max(1U, request_.workers); ++i) {
            workers.start([&](const std::stop_token& stop) {
                Bytes buffer(read_bytes);
                for (std::size_t file = next++; file < batch_.size(); file = next++)
                    sum_up(request_, batch_[file], buffer, stop);
            });
        }
        workers.wait();
        for (const ManifestFile& file : batch_) writer_.add(file);
        files_ += batch_.size();
        batch_.clear();
    }
    std::uint64_t files() const { return files_; }

  private:
    std::string absolute(const std::string& path) const {
        return path.empty() ? request_.data_directory : fmt::format("{}/{}", request_.data_directory, path);
    }
    void add_file(const std::string& path) {
        batch_.push_back({path, 0, {}, {}});
        if (batch_.size() == batch_files) flush();
    }

    const ClusterManifestRequest& request_;
    BackupManifestWriter& writer_;
    const std::stop_token stop_;
    std::vector<ManifestFile> batch_;
    std::uint64_t files_ = 0;
};

} // namespace

std::uint64_t write_cluster_manifest(const ClusterManifestRequest& request, std::stop_token stop) {
    const std::string path = fmt::format("{}/{}", request.data_directory, manifest_name);
    FileDescriptor file = open_file(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, 0600);
    try {
        BackupManifestWriter writer(
            [&](std::string_view text) { write_all(file.get(), as_bytes(text), path); }, request.version,
            request.system_identifier);
        ManifestWalk walk(request, writer, std::move(stop));
        walk.add_directory("");
        walk.flush();
        const std::array<WalRange, 1> ranges{request.wal};
        writer.finish(ranges);
        file.close(path);
        return walk.files();
    } catch (const fs::filesystem_error& error) {
        throw system_error(error.code().value(), fmt::format("listing {}", error.path1().string()));
    }
}

} // namespace holdfast::postgres
