// The limit to measure a backup against: the least that any encrypted backup must do, on two threads, with
// nothing remembered, and what one core can do of each of its parts.
//
//   pipeline run TREE OUT LEVEL HASH     read, hash, compress, encrypt and write a tree; HASH is blake3 or
//   sha256 pipeline limits TREE OUT             bytes a second of one core, on the first 256 MiB of a tree's
//   files, and of OUT's disk
//
// Answers with one JSON object on standard output. OUT is a folder; what is written there is removed again.
#include "base/error.h"
#include "base/file_descriptor.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <charconv>
#include <chrono>
#include <filesystem>
#include <functional>
#include <future>
#include <memory>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include <blake3.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <openssl/evp.h>
#include <sys/resource.h>
#include <unistd.h>
#include <zstd.h>

namespace holdfast {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t frame_size = 1 << 20;
constexpr int threads = 2;

struct FreeContext {
    void operator()(ZSTD_CCtx* context) const { ZSTD_freeCCtx(context); }
    void operator()(ZSTD_DCtx* context) const { ZSTD_freeDCtx(context); }
    void operator()(EVP_CIPHER_CTX* context) const { EVP_CIPHER_CTX_free(context); }
};
using Compressor = std::unique_ptr<ZSTD_CCtx, FreeContext>;
using Decompressor = std::unique_ptr<ZSTD_DCtx, FreeContext>;
using Cipher = std::unique_ptr<EVP_CIPHER_CTX, FreeContext>;

void require(bool good, const char* what) {
    if (!good) throw Error(ErrorCode::internal, fmt::format("{} failed", what));
}

std::size_t compress(ZSTD_CCtx* context, int level, ByteView in, Bytes& out) {
    out.resize(ZSTD_compressBound(in.size()));
    const std::size_t size = ZSTD_compressCCtx(context, out.data(), out.size(), in.data(), in.size(), level);
    require(ZSTD_isError(size) == 0, "zstd");
    return size;
}

// AES-256-GCM with a counted nonce: what it costs, not how keys are used.
void encrypt(EVP_CIPHER_CTX* context, std::uint64_t counter, ByteView in, Bytes& out) {
    static constexpr std::array<Byte, 32> key{1, 2, 3};
    std::array<Byte, 12> nonce{};
    std::memcpy(nonce.data(), &counter, sizeof counter);
    out.resize(in.size() + 16);
    int size = 0;
    require(EVP_EncryptInit_ex(context, EVP_aes_256_gcm(), nullptr, key.data(), nonce.data()) == 1, "AES");
    require(EVP_EncryptUpdate(context, out.data(), &size, in.data(), static_cast<int>(in.size())) == 1,
            "AES");
    require(EVP_EncryptFinal_ex(context, out.data() + size, &size) == 1, "AES");
    require(EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_GCM_GET_TAG, 16, out.data() + in.size()) == 1, "AES");
}

using Hash = std::function<Byte(ByteView)>;

Byte hash_blake3(ByteView in) {
    static constexpr std::array<Byte, BLAKE3_KEY_LEN> key{1, 2, 3};
    blake3_hasher hasher;
    std::array<Byte, BLAKE3_OUT_LEN> digest;
    blake3_hasher_init_keyed(&hasher, key.data());
    blake3_hasher_update(&hasher, in.data(), in.size());
    blake3_hasher_finalize(&hasher, digest.data(), digest.size());
    return digest[0];
}

Byte hash_sha256(ByteView in) {
    std::array<Byte, 32> digest;
    require(EVP_Digest(in.data(), in.size(), digest.data(), nullptr, EVP_sha256(), nullptr) == 1, "SHA-256");
    return digest[0];
}

// A part of a file; a frame is made of parts of up to 1 MiB in all, so that small files share one.
struct Part {
    std::string path;
    std::uint64_t offset = 0;
    std::size_t size = 0;
};
using Frame = std::vector<Part>;

std::vector<Frame> plan(const fs::path& tree) {
    std::vector<Frame> frames(1);
    std::size_t room = frame_size;
    for (const fs::directory_entry& entry : fs::recursive_directory_iterator(tree)) {
        if (!entry.is_regular_file()) continue;
        const std::uint64_t size = entry.file_size();
        for (std::uint64_t offset = 0; offset < size;) {
            if (room == 0) {
                frames.emplace_back();
                room = frame_size;
            }
            const std::size_t part = std::min<std::uint64_t>(size - offset, room);
            frames.back().push_back({entry.path().string(), offset, part});
            offset += part;
            room -= part;
        }
    }
    return frames;
}

void read_frame(const Frame& frame, Bytes& out, const std::function<void(ByteView)>& each_part) {
    out.clear();
    for (const Part& part : frame) {
        const FileDescriptor file = open_file(part.path, O_RDONLY);
        const std::size_t before = out.size();
        out.resize(before + part.size);
        const auto place = MutableByteView(out).subspan(before);
        require(read_at(file.get(), part.offset, place, part.path) == part.size, "reading a file to its end");
        each_part(place);
    }
}

double seconds_since(std::chrono::steady_clock::time_point start) {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

double cpu_seconds() {
    rusage usage{};
    ::getrusage(RUSAGE_SELF, &usage);
    const auto seconds = [](const timeval& time) {
        return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
    };
    return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

// A file in `directory` that is removed when it goes.
class OutputFile {
  public:
    OutputFile(const fs::path& directory, int number)
        : path_((directory / fmt::format("pipeline-{}-{}", ::getpid(), number)).string()),
          file_(open_file(path_, O_WRONLY | O_CREAT | O_TRUNC, 0600)) {}
    OutputFile(const OutputFile&) = delete;
    OutputFile& operator=(const OutputFile&) = delete;
    ~OutputFile() { ::unlink(path_.c_str()); }
    void write(ByteView data) { write_all(file_.get(), data, path_); }
    void sync() { require(::fsync(file_.get()) == 0, "fsync"); }

  private:
    std::string path_;
    FileDescriptor file_;
};

struct Sums {
    std::uint64_t in = 0;
    std::uint64_t out = 0;
    unsigned hashes = 0; // used, so that no hash can be left out
};

Sums work(const std::vector<Frame>& frames, std::atomic<std::size_t>& next, OutputFile& output, int level,
          const Hash& hash) {
    const Compressor compressor(ZSTD_createCCtx());
    const Cipher cipher(EVP_CIPHER_CTX_new());
    Bytes plain;
    Bytes compressed;
    Bytes encrypted;
    Sums sums;
    for (std::size_t i = next++; i < frames.size(); i = next++) {
        read_frame(frames[i], plain, [&](ByteView part) { sums.hashes += hash(part); });
        const std::size_t size = compress(compressor.get(), level, plain, compressed);
        encrypt(cipher.get(), i, ByteView(compressed).first(size), encrypted);
        output.write(encrypted);
        sums.in += plain.size();
        sums.out += encrypted.size();
    }
    output.sync();
    return sums;
}

void run(const fs::path& tree, const fs::path& directory, int level, const Hash& hash) {
    const auto start = std::chrono::steady_clock::now();
    const std::vector<Frame> frames = plan(tree);
    std::atomic<std::size_t> next{0};
    std::vector<std::unique_ptr<OutputFile>> outputs;
    std::vector<std::future<Sums>> workers;
    for (int i = 0; i < threads; ++i) outputs.push_back(std::make_unique<OutputFile>(directory, i));
    for (const auto& output : outputs) {
        workers.push_back(std::async(
            std::launch::async, [&, file = output.get()] { return work(frames, next, *file, level, hash); }));
    }
    Sums total;
    for (auto& worker : workers) {
        const Sums sums = worker.get();
        total.in += sums.in;
        total.out += sums.out;
        total.hashes += sums.hashes;
    }
    fmt::print(R"({{"wall_seconds":{:.3f},"cpu_seconds":{:.3f},"bytes_in":{},"bytes_out":{},"hashes":{}}})"
               "\n",
               seconds_since(start), cpu_seconds(), total.in, total.out, total.hashes);
}

// Megabytes a second of one core doing `body` to each block; by CPU time, since others may use the machine.
double rate(const std::vector<Bytes>& blocks, const std::function<void(std::size_t)>& body) {
    std::uint64_t bytes = 0;
    const double start = cpu_seconds();
    for (std::size_t i = 0; i < blocks.size(); ++i) {
        body(i);
        bytes += blocks[i].size();
    }
    return static_cast<double>(bytes) / (cpu_seconds() - start) / 1e6;
}

// Megabytes a second of the disk, written in order and synced; by wall time.
double disk_rate(const std::vector<Bytes>& blocks, const fs::path& directory) {
    OutputFile output(directory, 0);
    std::uint64_t bytes = 0;
    const auto start = std::chrono::steady_clock::now();
    for (int round = 0; round < 4; ++round) {
        for (const Bytes& block : blocks) {
            output.write(block);
            bytes += block.size();
        }
    }
    output.sync();
    return static_cast<double>(bytes) / seconds_since(start) / 1e6;
}

void limits(const fs::path& tree, const fs::path& directory) {
    std::vector<Frame> frames = plan(tree);
    frames.resize(std::min<std::size_t>(frames.size(), 256));
    std::vector<Bytes> blocks(frames.size());
    for (std::size_t i = 0; i < frames.size(); ++i) read_frame(frames[i], blocks[i], [](ByteView) {});

    const Compressor compressor(ZSTD_createCCtx());
    const Decompressor decompressor(ZSTD_createDCtx());
    const Cipher cipher(EVP_CIPHER_CTX_new());
    std::vector<Bytes> compressed(blocks.size());
    Bytes scratch(frame_size + 16);
    std::string answer = "{";
    for (const int level : {1, 3}) {
        std::uint64_t in = 0;
        std::uint64_t out = 0;
        const double encode = rate(blocks, [&](std::size_t i) {
            compressed[i].resize(compress(compressor.get(), level, blocks[i], compressed[i]));
            in += blocks[i].size();
            out += compressed[i].size();
        });
        const double decode = rate(blocks, [&](std::size_t i) {
            const std::size_t size = ZSTD_decompressDCtx(decompressor.get(), scratch.data(), scratch.size(),
                                                         compressed[i].data(), compressed[i].size());
            require(size == blocks[i].size(), "zstd");
        });
        answer +=
            fmt::format(R"("zstd_{0}_encode":{1:.0f},"zstd_{0}_decode":{2:.0f},"zstd_{0}_ratio":{3:.3f},)",
                        level, encode, decode, static_cast<double>(in) / static_cast<double>(out));
    }
    unsigned hashes = 0;
    const double aes = rate(blocks, [&](std::size_t i) { encrypt(cipher.get(), i, blocks[i], scratch); });
    const double blake3 = rate(blocks, [&](std::size_t i) { hashes += hash_blake3(blocks[i]); });
    const double sha256 = rate(blocks, [&](std::size_t i) { hashes += hash_sha256(blocks[i]); });
    fmt::print(
        R"({}"aes_256_gcm":{:.0f},"blake3_keyed":{:.0f},"sha_256":{:.0f},"disk_write_synced":{:.0f},"hashes":{}}})"
        "\n",
        answer, aes, blake3, sha256, disk_rate(blocks, directory), hashes);
}

int dispatch(std::span<char*> arguments) {
    const std::string_view what = arguments.size() > 1 ? arguments[1] : "";
    if (what == "limits" && arguments.size() == 4) {
        limits(arguments[2], arguments[3]);
        return 0;
    }
    const std::string_view level_text = arguments.size() == 6 ? arguments[4] : "";
    const std::string_view hash = arguments.size() == 6 ? arguments[5] : "";
    int level = 0;
    const auto [end, error] =
        std::from_chars(level_text.data(), level_text.data() + level_text.size(), level);
    if (what != "run" || error != std::errc() || end != level_text.data() + level_text.size() ||
        (hash != "blake3" && hash != "sha256")) {
        fmt::print(stderr,
                   "usage: pipeline run TREE OUT LEVEL blake3|sha256\n       pipeline limits TREE OUT\n");
        return 2;
    }
    run(arguments[2], arguments[3], level, hash == "blake3" ? Hash(hash_blake3) : Hash(hash_sha256));
    return 0;
}

} // namespace
} // namespace holdfast

int main(int count, char** values) {
    try {
        return holdfast::dispatch(std::span(values, static_cast<std::size_t>(count)));
    } catch (const std::exception& error) {
        fmt::print(stderr, "pipeline: {}\n", error.what());
        return 1;
    }
}
