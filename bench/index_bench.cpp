// How fast an index of 50 million blobs answers on one core, and how much memory it takes.
//
//   index_bench [entries [directory]]
//
// Writes segments of 4 million synthetic entries to files (about 2.1 GB for 50 million), opens them, and
// looks up ids that are in none, and ids that are, in the order in which their blobs were written to packs.
// Files are in the page cache when they are read. Times are CPU seconds of the one thread, and wall seconds
// beside them.
#include "base/error.h"
#include "base/file_descriptor.h"
#include "base/log.h"
#include "repository/index/index_set.h"
#include "repository/index/segment_merge.h"

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <ctime>
#include <filesystem>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/resource.h>

namespace holdfast {
namespace {

constexpr std::uint64_t entries_per_segment = 4'000'000;
constexpr std::uint64_t blobs_per_pack = 256;

std::uint64_t mix(std::uint64_t value) {
    value += 0x9e3779b97f4a7c15U;
    value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9U;
    value = (value ^ (value >> 27)) * 0x94d049bb133111ebU;
    return value ^ (value >> 31);
}

// The id of the blob that was written as number `number`; numbers from 2^60 are never written.
BlobId id_of(std::uint64_t number) {
    BlobId id;
    for (std::uint64_t i = 0; i < 3; ++i) {
        const std::uint64_t part = mix(number * 3 + i);
        std::memcpy(id.bytes.data() + 8 * i, &part, sizeof part);
    }
    return id;
}

BlobLocation location_of(std::uint64_t number) {
    BlobLocation location;
    location.pack.seq = static_cast<std::uint32_t>(number / blobs_per_pack);
    location.frame = static_cast<std::uint32_t>(number % blobs_per_pack / 4);
    location.offset = static_cast<std::uint32_t>(number % 4 * 262144);
    location.length = 262144;
    return location;
}

class Stopwatch {
  public:
    struct Seconds {
        double cpu;
        double wall;
    };
    Seconds elapsed() const { return {cpu_now() - cpu_, wall_now() - wall_}; }

  private:
    static double cpu_now() {
        timespec now{};
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
        return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
    }
    static double wall_now() {
        return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
    }
    double cpu_ = cpu_now();
    double wall_ = wall_now();
};

void print_rate(std::string_view what, std::uint64_t count, Stopwatch::Seconds seconds) {
    const auto number = static_cast<double>(count);
    fmt::print("{:<24} {:>9.0f} a CPU second, {:>9.0f} a wall second\n", what, number / seconds.cpu,
               number / seconds.wall);
}

SegmentIdentity identity_of(std::uint64_t segment) {
    return {.key = Secret(32), .name = fmt::format("index/0000000000000000/segment-{:08x}", segment)};
}

std::vector<std::string> write_segments(std::uint64_t entries, const std::filesystem::path& directory) {
    std::vector<std::string> paths;
    const Stopwatch watch;
    std::uint64_t bytes = 0;
    for (std::uint64_t first = 0; first < entries; first += entries_per_segment) {
        std::vector<IndexEntry> batch;
        for (std::uint64_t i = first; i < std::min(entries, first + entries_per_segment); ++i) {
            batch.push_back({.id = id_of(i), .location = location_of(i)});
        }
        SegmentBody body =
            encode_segment(identity_of(paths.size()), batch, {.temporary_directory = directory.string()});
        paths.push_back((directory / fmt::format("segment-{:04}", paths.size())).string());
        const FileDescriptor file = open_file(paths.back(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
        for (const ByteView piece : body.pieces()) write_all(file.get(), piece, paths.back());
        bytes += body.size();
    }
    print_rate("sorted and written", entries, watch.elapsed());
    fmt::print("{:<24} {:>9} segments, {:.2f} GB\n", "", paths.size(), static_cast<double>(bytes) / 1e9);
    return paths;
}

void run(std::uint64_t entries, const std::filesystem::path& directory) {
    const std::vector<std::string> paths = write_segments(entries, directory);
    IndexSet index({}, silent_logger());
    const Stopwatch opening;
    for (std::size_t i = 0; i < paths.size(); ++i) {
        const auto source = std::make_shared<FileSource>(open_file(paths[i], O_RDONLY), paths[i]);
        if (!index.add_segment(source, identity_of(i), SegmentAuthor::own)) {
            throw Error(ErrorCode::internal, "a segment did not open");
        }
    }
    fmt::print("{:<24} {:>9.2f} s\n", "opened", opening.elapsed().wall);
    fmt::print("{:<24} {:>9.1f} MiB, of it filters {:.1f} MiB\n", "memory",
               static_cast<double>(index.memory_bytes()) / 1048576,
               static_cast<double>(index.filter_bytes()) / 1048576);

    const auto look_up = [&](std::string_view what, std::uint64_t count, auto&& number_of, bool expected) {
        std::vector<IndexHit> hits;
        std::uint64_t wrong = 0;
        const Stopwatch watch;
        for (std::uint64_t i = 0; i < count; ++i) {
            hits.clear();
            const std::uint64_t number = number_of(i);
            index.lookup(id_of(number), hits);
            if (hits.empty() == expected || (expected && hits.front().location != location_of(number)))
                ++wrong;
        }
        print_rate(what, count, watch.elapsed());
        if (wrong > 0)
            throw Error(ErrorCode::internal, fmt::format("{} of {} answers were wrong", wrong, count));
    };
    const std::uint64_t negative = 5'000'000;
    look_up("negative", negative, [](std::uint64_t i) { return (std::uint64_t{1} << 60) + i; }, false);
    std::uint64_t blocks = 0;
    for (const auto& segment : index.segments()) blocks += segment->blocks_read();
    fmt::print("{:<24} {:>9.3f} blocks for each\n", "",
               static_cast<double>(blocks) / static_cast<double>(negative));
    // Runs of a thousand packs, beginning anywhere: what a backup of files does that were backed up before.
    constexpr std::uint64_t run_length = 1000 * blobs_per_pack;
    look_up(
        "in order", 2'000'000,
        [&](std::uint64_t i) { return (mix(i / run_length) % entries + i % run_length) % entries; }, true);

    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    fmt::print("{:<24} {:>9.1f} MiB at most, sorting included\n", "resident",
               static_cast<double>(usage.ru_maxrss) / 1024);
}

} // namespace
} // namespace holdfast

int main(int argc, char** argv) {
    const std::uint64_t entries = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 50'000'000;
    const std::filesystem::path parent = argc > 2 ? argv[2] : std::filesystem::temp_directory_path();
    std::string directory = (parent / "holdfast-index-bench-XXXXXX").string();
    if (mkdtemp(directory.data()) == nullptr) {
        fmt::print(stderr, "cannot make {}\n", directory);
        return EXIT_FAILURE;
    }
    int status = EXIT_SUCCESS;
    try {
        holdfast::run(entries, directory);
    } catch (const holdfast::Error& error) {
        fmt::print(stderr, "{}\n", error.message());
        status = EXIT_FAILURE;
    }
    std::filesystem::remove_all(directory);
    return status;
}
