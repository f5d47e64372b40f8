// Runs the fuzz targets over kept inputs, without libFuzzer.
//
//   fuzz_corpus run NAME DIRECTORY    feeds every file of the directory to the target; what fails aborts
//   fuzz_corpus make DIRECTORY        writes the real inputs of every target to DIRECTORY/NAME
#include "base/error.h"
#include "base/file_descriptor.h"
#include "fuzz/real_inputs.h"

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <map>
#include <vector>

#define FUZZ_TARGET(name, entry) extern "C" int entry(const std::uint8_t* data, std::size_t size);
#include "fuzz_targets.inc"
#undef FUZZ_TARGET

namespace holdfast {

namespace {

using Target = int (*)(const std::uint8_t* data, std::size_t size);

const std::map<std::string, Target>& targets() {
    static const std::map<std::string, Target> all{
#define FUZZ_TARGET(name, entry) {#name, entry},
#include "fuzz_targets.inc"
#undef FUZZ_TARGET
    };
    return all;
}

int fail(const std::string& why) {
    std::fprintf(stderr, "fuzz_corpus: %s\n", why.c_str());
    return 1;
}

int run(const std::string& name, const std::filesystem::path& directory) {
    const auto target = targets().find(name);
    if (target == targets().end()) return fail("there is no target " + name);
    if (!std::filesystem::is_directory(directory)) return fail("there is no corpus " + directory.string());
    std::vector<std::string> paths;
    for (const auto& entry : std::filesystem::directory_iterator(directory)) {
        paths.push_back(entry.path().string());
    }
    if (paths.empty()) return fail("the corpus " + directory.string() + " is empty");
    std::ranges::sort(paths);
    for (const std::string& path : paths) {
        std::printf("%s\n", path.c_str());
        std::fflush(stdout); // so that the last line names the input that aborts
        const Bytes input = read_file(path, std::size_t{16} << 20);
        target->second(input.data(), input.size());
    }
    // The inputs as the encoders make them today: a corpus of yesterday must not hide that they broke.
    for (const RealInput& input : real_inputs()) {
        if (input.target != name) continue;
        std::printf("%s, as it is made now\n", input.name.c_str());
        std::fflush(stdout);
        target->second(input.bytes.data(), input.bytes.size());
    }
    return 0;
}

int make(const std::filesystem::path& directory) {
    for (const RealInput& input : real_inputs()) {
        if (!targets().contains(input.target)) return fail("there is no target " + input.target);
        const std::filesystem::path folder = directory / input.target;
        std::filesystem::create_directories(folder);
        std::ofstream file(folder / input.name, std::ios::binary | std::ios::trunc);
        file.write(as_text(input.bytes).data(), static_cast<std::streamsize>(input.bytes.size()));
        if (!file.flush()) return fail("cannot write " + (folder / input.name).string());
    }
    return 0;
}

} // namespace

} // namespace holdfast

int main(int count, char** words) {
    const std::vector<std::string> arguments(words + 1, words + count);
    try {
        if (arguments.size() == 3 && arguments[0] == "run") return holdfast::run(arguments[1], arguments[2]);
        if (arguments.size() == 2 && arguments[0] == "make") return holdfast::make(arguments[1]);
    } catch (const std::exception& error) {
        return holdfast::fail(error.what());
    }
    std::fputs("usage: fuzz_corpus run NAME DIRECTORY | fuzz_corpus make DIRECTORY\n", stderr);
    return 2;
}
