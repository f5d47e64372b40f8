// How fast one core cuts, signs and judges bytes. Times are CPU seconds of the one thread.
#include "base/random.h"
#include "repository/compression.h"
#include "repository/incompressible.h"
#include "repository/split/gear_splitter.h"
#include "repository/split/page_signatures.h"

#include <algorithm>
#include <cstdlib>
#include <ctime>
#include <functional>

#include <fmt/format.h>

namespace holdfast {
namespace {

double cpu_seconds() {
    timespec now{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

// The median of five runs.
void report(const char* name, std::size_t bytes, const std::function<void()>& run) {
    std::vector<double> seconds;
    for (int i = 0; i < 5; ++i) {
        const double start = cpu_seconds();
        run();
        seconds.push_back(cpu_seconds() - start);
    }
    std::sort(seconds.begin(), seconds.end());
    fmt::print("{:<28} {:6.2f} GB/s\n", name, static_cast<double>(bytes) / seconds[2] / 1e9);
}

void run() {
    SeededRandom random(1);
    Bytes data(std::size_t{256} << 20);
    random.fill(data);
    Bytes key(32);
    random.fill(key);

    std::size_t chunks = 0;
    report("Gear splitter", data.size(), [&] {
        GearSplitter splitter(gear_table(key));
        ByteView rest = data;
        for (chunks = 0; !rest.empty(); ++chunks) rest = rest.subspan(splitter.next_cut(rest, true));
    });
    fmt::print("{:<28} {:6} KiB\n", "  mean chunk", data.size() / chunks / 1024);

    const PageSigner signer(key);
    std::vector<PageSignature> signatures(pages_of(longest_chunk_bytes));
    report("page signatures", data.size(), [&] {
        for (std::size_t at = 0; at < data.size(); at += longest_chunk_bytes) {
            signer.sign(ByteView(data).subspan(at, longest_chunk_bytes), signatures);
        }
    });
}

// Times in microseconds for 1 MiB frames, the median of 101.
void report_compression(const char* name, ByteView frame) {
    Compressor compressor;
    IncompressibleDetector detector;
    std::vector<double> judging;
    std::vector<double> compressing;
    bool verdict = false;
    std::size_t size = 0;
    for (int i = 0; i < 101; ++i) {
        double start = cpu_seconds();
        verdict = detector.looks_incompressible(frame);
        judging.push_back(cpu_seconds() - start);
        start = cpu_seconds();
        size = compressor.compress(frame, 3).bytes.size();
        compressing.push_back(cpu_seconds() - start);
    }
    std::sort(judging.begin(), judging.end());
    std::sort(compressing.begin(), compressing.end());
    fmt::print("{:<20} {:>8} KiB at level 3 in {:7.0f} us; judged {} in {:5.1f} us, {:.2f}%\n", name,
               size / 1024, compressing[50] * 1e6, verdict ? "incompressible" : "compressible",
               judging[50] * 1e6, 100 * judging[50] / compressing[50]);
}

void run_compression() {
    SeededRandom random(2);
    Bytes noise(longest_chunk_bytes);
    random.fill(noise);
    const auto make_text = [&](std::size_t size) {
        Bytes text;
        while (text.size() < size) {
            const std::string word = fmt::format("{} ", random.below(5000) * random.below(5000));
            text.insert(text.end(), word.begin(), word.end());
        }
        return text;
    };
    Bytes text = make_text(longest_chunk_bytes);
    text.resize(longest_chunk_bytes);
    Bytes encoded = noise;
    for (Byte& byte : encoded)
        byte =
            static_cast<Byte>("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"[byte & 63]);
    Bytes packed = zstd_compress(make_text(3 * longest_chunk_bytes), 3);
    packed.resize(longest_chunk_bytes);
    Bytes twice = noise;
    std::copy_n(noise.begin(), noise.size() / 2, twice.begin() + 400000);
    report_compression("random", noise);
    report_compression("text", text);
    report_compression("base64", encoded);
    report_compression("zstd", packed);
    report_compression("random, repeated", twice);
}

} // namespace
} // namespace holdfast

int main() {
    holdfast::run();
    holdfast::run_compression();
    return EXIT_SUCCESS;
}
