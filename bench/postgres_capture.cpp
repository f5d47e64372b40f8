// Capturing a PostgreSQL data directory, beside a bare pipeline in the same process.
//
//   postgres_capture DATA SCRATCH [LEVEL] [STEP…]     STEPs in order: bare-xxh3 bare-signed full none
//   scattered
//
// DATA is the data directory of a server that is stopped; `scattered` changes 1% of its blocks in place.
// SCRATCH is made anew. Prints a line of JSON for each step.
#include "base/clock.h"
#include "base/random.h"
#include "postgres/capture/capture_cluster.h"
#include "repository/key_slots.h"
#include "repository/repository.h"
#include "repository/unlock.h"
#include "store/file_store.h"

#include <algorithm>
#include <atomic>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <future>

#include <fcntl.h>
#include <fmt/format.h>
#include <openssl/evp.h>
#include <sys/resource.h>
#include <unistd.h>
#define XXH_INLINE_ALL
#include <xxhash.h>
#include <zstd.h>

namespace holdfast::postgres {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t frame_bytes = 1u << 20;

void require(bool good, const char* what) {
    if (!good) throw Error(ErrorCode::internal, fmt::format("{} failed", what));
}

// What a step took.
class Watch {
  public:
    Watch() : wall_(system_clock().steady()), cpu_(cpu()), read_(read_so_far()) {}
    std::string json() const {
        return fmt::format(R"("wall_s":{:.3f},"cpu_s":{:.3f},"read_mb":{:.1f},"peak_mb":{})",
                           std::chrono::duration<double>(system_clock().steady() - wall_).count(),
                           cpu() - cpu_, static_cast<double>(read_so_far() - read_) / 1e6, peak_mb());
    }

  private:
    static double cpu() {
        rusage usage{};
        ::getrusage(RUSAGE_SELF, &usage);
        const auto seconds = [](const timeval& time) {
            return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
        };
        return seconds(usage.ru_utime) + seconds(usage.ru_stime);
    }
    static long peak_mb() {
        rusage usage{};
        ::getrusage(RUSAGE_SELF, &usage);
        return usage.ru_maxrss / 1024;
    }
    static std::uint64_t read_so_far() {
        std::ifstream in("/proc/self/io");
        std::string name;
        std::uint64_t value = 0;
        in >> name >> value;
        return value;
    }
    Duration wall_;
    double cpu_;
    std::uint64_t read_;
};

struct Part {
    std::string path;
    std::uint64_t offset = 0;
    std::size_t size = 0;
};

// The files of a data directory without its log, in frames of 1 MiB.
std::vector<std::vector<Part>> plan(const fs::path& data) {
    std::vector<std::vector<Part>> frames(1);
    std::size_t room = frame_bytes;
    for (auto entry = fs::recursive_directory_iterator(data); entry != fs::recursive_directory_iterator();
         ++entry) {
        if (entry->path().filename() == "pg_wal") entry.disable_recursion_pending();
        if (!entry->is_regular_file()) continue;
        const std::uint64_t size = entry->file_size();
        for (std::uint64_t offset = 0; offset < size;) {
            if (room == 0) {
                frames.emplace_back();
                room = frame_bytes;
            }
            const std::size_t length = std::min<std::uint64_t>(size - offset, room);
            frames.back().push_back({entry->path().string(), offset, length});
            offset += length;
            room -= length;
        }
    }
    return frames;
}

struct FreeZstd {
    void operator()(ZSTD_CCtx* context) const { ZSTD_freeCCtx(context); }
};
struct FreeCipher {
    void operator()(EVP_CIPHER_CTX* context) const { EVP_CIPHER_CTX_free(context); }
};

class BareWorker {
  public:
    BareWorker(std::string out, int level, bool keyed)
        : path_(std::move(out)),
          file_(open_file(path_, O_WRONLY | O_CREAT | O_TRUNC, 0600)),
          level_(level),
          keyed_(keyed) {}
    ~BareWorker() { ::unlink(path_.c_str()); }
    BareWorker(const BareWorker&) = delete;
    BareWorker& operator=(const BareWorker&) = delete;

    void frame(const std::vector<Part>& parts, std::uint64_t number) {
        plain_.resize(frame_bytes);
        std::size_t size = 0;
        for (const Part& part : parts) {
            const FileDescriptor in = open_file(part.path, O_RDONLY);
            size +=
                read_at(in.get(), part.offset, MutableByteView(plain_).subspan(size, part.size), part.path);
        }
        const ByteView bytes = ByteView(plain_).first(size);
        if (keyed_) {
            signatures_.resize(pages_of(size));
            signer_.sign(bytes, signatures_);
        } else {
            for (std::size_t at = 0; at < size; at += page_bytes)
                sum_ ^= XXH3_64bits(bytes.data() + at, std::min(page_bytes, size - at));
        }
        packed_.resize(ZSTD_compressBound(frame_bytes));
        const std::size_t packed =
            ZSTD_compressCCtx(zstd_.get(), packed_.data(), packed_.size(), bytes.data(), size, level_);
        require(ZSTD_isError(packed) == 0, "zstd");
        sealed_.resize(packed_.size() + 16);
        std::array<Byte, 12> nonce{};
        std::memcpy(nonce.data(), &number, sizeof number);
        int length = 0;
        static constexpr std::array<Byte, 32> key{1, 2, 3};
        require(
            EVP_EncryptInit_ex(cipher_.get(), EVP_aes_256_gcm(), nullptr, key.data(), nonce.data()) == 1 &&
                EVP_EncryptUpdate(cipher_.get(), sealed_.data(), &length, packed_.data(),
                                  static_cast<int>(packed)) == 1 &&
                EVP_EncryptFinal_ex(cipher_.get(), sealed_.data() + length, &length) == 1 &&
                EVP_CIPHER_CTX_ctrl(cipher_.get(), EVP_CTRL_GCM_GET_TAG, 16, sealed_.data() + packed) == 1,
            "AES");
        write_all(file_.get(), ByteView(sealed_).first(packed + 16), path_);
        written_ += packed + 16;
    }
    std::uint64_t finish() {
        require(::fsync(file_.get()) == 0, "fsync");
        return written_ + (sum_ == 1 ? 1 : 0);
    }

  private:
    std::string path_;
    FileDescriptor file_;
    int level_;
    bool keyed_;
    std::unique_ptr<ZSTD_CCtx, FreeZstd> zstd_{ZSTD_createCCtx()};
    std::unique_ptr<EVP_CIPHER_CTX, FreeCipher> cipher_{EVP_CIPHER_CTX_new()};
    PageSigner signer_{Bytes(32, 7)};
    Bytes plain_, packed_, sealed_;
    std::vector<PageSignature> signatures_;
    std::uint64_t sum_ = 0;
    std::uint64_t written_ = 0;
};

void bare(const fs::path& data, const fs::path& scratch, int level, bool keyed) {
    const Watch watch;
    const std::vector<std::vector<Part>> frames = plan(data);
    std::atomic<std::size_t> next{0};
    std::vector<std::future<std::uint64_t>> workers;
    for (int i = 0; i < 2; ++i) {
        workers.push_back(std::async(std::launch::async, [&, i] {
            BareWorker worker((scratch / fmt::format("bare-{}", i)).string(), level, keyed);
            for (std::size_t frame = next++; frame < frames.size(); frame = next++)
                worker.frame(frames[frame], frame);
            return worker.finish();
        }));
    }
    std::uint64_t written = 0;
    for (auto& worker : workers) written += worker.get();
    fmt::print(R"({{"step":"bare-{}",{},"written_mb":{:.1f}}})"
               "\n",
               keyed ? "signed" : "xxh3", watch.json(), static_cast<double>(written) / 1e6);
}

// Says which blocks were changed by this program.
class KnownBlocks final : public ChangedBlocks {
  public:
    std::map<RelationSegment, std::vector<std::uint32_t>> blocks;
    SegmentChanges of(const RelationSegment& segment) const override {
        SegmentChanges changes{SegmentChanges::What::none, {}};
        const auto found = blocks.find(segment);
        if (found == blocks.end()) return changes;
        changes.what = SegmentChanges::What::some;
        for (const std::uint32_t block : found->second) changes.blocks.push_back({block, 1});
        return changes;
    }
};

// Changes a hundred bytes in 1% of all blocks of relations.
KnownBlocks scatter(const fs::path& data, Random& random) {
    KnownBlocks known;
    for (const auto& entry : fs::recursive_directory_iterator(data)) {
        const std::string path = fs::relative(entry.path(), data).string();
        const DataPath place = parse_data_path(path);
        if (!entry.is_regular_file() || place.kind != PathKind::relation || place.file.fork != Fork::main)
            continue;
        const FileDescriptor file = open_file(entry.path().string(), O_RDWR);
        for (std::uint32_t block = 0; block < entry.file_size() / 8192; ++block) {
            if (random.below(100) != 0) continue;
            Bytes page(8192);
            read_at(file.get(), std::uint64_t{block} * 8192, page, path);
            const PageHeader header = read_page_header(page);
            if (header.upper == 0 || header.upper > 8000) continue;
            random.fill(MutableByteView(page).subspan(header.upper + random.below(8092 - header.upper), 100));
            const std::uint16_t sum = page_checksum(page, place.file.segment * 131072 + block);
            page[8] = static_cast<Byte>(sum);
            page[9] = static_cast<Byte>(sum >> 8);
            write_at(file.get(), std::uint64_t{block} * 8192, page, path);
            known.blocks[place.segment()].push_back(block);
        }
    }
    return known;
}

class Bench {
  public:
    Bench(const fs::path& data, const fs::path& scratch, int level)
        : data_(data), scratch_(scratch), level_(level) {
        store_ = std::make_shared<FileStore>((scratch / "repository").string());
        const Secret words = Secret::copy_of(as_bytes("bench"));
        InitOptions options;
        options.cost = {8192, 1};
        options.capabilities = store_->capabilities();
        create_repository(*store_, system_clock(), random_, Credential::passphrase(words.copy()), options);
        repository_ =
            std::make_unique<Repository>(store_, unlock(*store_, Credential::passphrase(words.copy())),
                                         LocalDirectories{(scratch / "cache").string(), scratch.string()},
                                         system_clock(), random_, silent_logger());
    }

    void capture(const std::string& step, const ChangedBlocks* changes) {
        const Watch watch;
        BackupRunSettings settings;
        settings.source = "bench";
        settings.kind = "postgresql";
        if (level_ > 0) settings.pipeline.level = LevelSettings::fixed(level_);
        BackupRun run(*repository_, settings, {});
        ClusterCaptureRequest request;
        request.data_directory = data_.string();
        request.start = Lsn{UINT64_MAX - 1};
        request.changes = changes;
        if (run.parent()) request.changes_since = run.parent()->id;
        Progress progress;
        const ClusterCapture captured = capture_cluster(run, request, progress, {});
        const NodeRef root = finish_cluster_tree(run, captured, {}, system_clock().now());
        const BackupRunReport report = run.commit(root, captured.totals, SnapshotState::complete);
        fmt::print(
            R"({{"step":"{}",{},"from_disk_mb":{:.1f},"new_mb":{:.1f},"written_mb":{:.1f},"files":{},"unchanged":{},"bad":{}}})"
            "\n",
            step, watch.json(), mb(captured.bytes_from_disk), mb(captured.totals.new_bytes),
            mb(report.stored_bytes), captured.totals.files, captured.totals.unchanged_files,
            captured.pages.bad_pages);
        std::fflush(stdout);
    }
    void run(const std::string& step) {
        if (step == "bare-xxh3" || step == "bare-signed")
            return bare(data_, scratch_, level_, step == "bare-signed");
        if (step == "full") return capture(step, nullptr);
        KnownBlocks known;
        if (step == "scattered") {
            known = scatter(data_, random_);
            ::sync();
        } else if (step != "none") {
            throw Error(ErrorCode::usage, fmt::format("there is no step {}", step));
        }
        capture(step, &known);
    }

  private:
    static double mb(std::uint64_t bytes) { return static_cast<double>(bytes) / 1e6; }

    fs::path data_;
    fs::path scratch_;
    int level_;
    Random& random_ = system_random();
    std::shared_ptr<FileStore> store_;
    std::unique_ptr<Repository> repository_;
};

int run(std::span<char*> arguments) {
    if (arguments.size() < 3) {
        fmt::print(stderr, "usage: postgres_capture DATA SCRATCH [LEVEL] [STEP…]\n");
        return 2;
    }
    int level = 1;
    if (arguments.size() > 3) std::from_chars(arguments[3], arguments[3] + std::strlen(arguments[3]), level);
    std::vector<std::string> steps(arguments.begin() + std::min<std::ptrdiff_t>(4, std::ssize(arguments)),
                                   arguments.end());
    if (steps.empty()) steps = {"bare-xxh3", "bare-signed", "full", "none", "scattered"};
    fs::remove_all(arguments[2]);
    fs::create_directories(arguments[2]);
    Bench bench(arguments[1], arguments[2], level);
    for (const std::string& step : steps) bench.run(step);
    return 0;
}

} // namespace
} // namespace holdfast::postgres

int main(int count, char** values) {
    try {
        return holdfast::postgres::run(std::span(values, static_cast<std::size_t>(count)));
    } catch (const std::exception& error) {
        fmt::print(stderr, "postgres_capture: {}\n", error.what());
        return 1;
    }
}
