#include "support/holdfast_user.h"

#include "base/bytes.h"
#include "base/random.h"

#include <filesystem>
#include <fstream>
#include <thread>

#include <fmt/format.h>

namespace holdfast::test {

namespace fs = std::filesystem;

HoldfastUser::HoldfastUser() {
    fs::permissions(scratch.path(), fs::perms(0755));
    fs::create_directory(source());
    fs::create_directory(scratch.file("home"));
    options.environment = {{"HOME", scratch.file("home")},
                           {"TMPDIR", "/tmp"},
                           {"HOLDFAST_REPOSITORY", repository()},
                           {"HOLDFAST_KEY_FILE", scratch.file("key")}};
}

ProgramRun HoldfastUser::run(const Words& words, const RunOptions& as) const {
    Words command{HOLDFAST_PROGRAM};
    command.insert(command.end(), words.begin(), words.end());
    return run_program(command, as);
}

std::unique_ptr<RunningProgram> HoldfastUser::start(const Words& words) const {
    Words command{HOLDFAST_PROGRAM};
    command.insert(command.end(), words.begin(), words.end());
    return std::make_unique<RunningProgram>(command, options);
}

nlohmann::json HoldfastUser::json(Words words, int exit_code, const RunOptions& as) const {
    words.emplace_back("--json");
    const ProgramRun result = run(words, as);
    EXPECT_EQ(result.exit_code, exit_code)
        << fmt::format("{}\n", fmt::join(words, " ")) << result.out << result.error;
    nlohmann::json value = nlohmann::json::parse(result.out, nullptr, false);
    EXPECT_FALSE(value.is_discarded())
        << fmt::format("{}\n", fmt::join(words, " ")) << result.out << result.error;
    return value;
}

std::string HoldfastUser::failure(const Words& words, int exit_code, const RunOptions& as) const {
    const ProgramRun result = run(words, as);
    EXPECT_EQ(result.exit_code, exit_code)
        << fmt::format("{}\n", fmt::join(words, " ")) << result.out << result.error;
    EXPECT_NE(result.error, "");
    return result.error;
}

void HoldfastUser::expect_restore_equals_source(const std::string& of) {
    const std::string target = scratch.file(fmt::format("restored-{}", restores_++));
    const nlohmann::json result = json({"restore", "latest", "--source", of, "--to", target});
    EXPECT_EQ(result.value("failed", 1), 0) << result.dump(2);
    EXPECT_EQ(difference(list_tree(source()), list_tree(target + source())), "");
}

void HoldfastUser::write(const std::string& path, const std::string& content) const {
    const fs::path file = place(path);
    fs::create_directories(file.parent_path());
    std::ofstream(file, std::ios::binary) << content;
}

void HoldfastUser::write_random(const std::string& path, std::size_t size, std::uint64_t seed) const {
    Bytes bytes(size);
    SeededRandom(seed).fill(bytes);
    write(path, std::string(as_text(bytes)));
}

std::string HoldfastUser::content_of(const std::string& file) {
    std::ifstream in(file, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
}

// The repository may change while it is looked at.
std::uint64_t HoldfastUser::repository_bytes() const {
    std::uint64_t bytes = 0;
    std::error_code ignored;
    for (fs::recursive_directory_iterator at(repository(), ignored), end; at != end; at.increment(ignored)) {
        const std::uintmax_t size = at->is_regular_file(ignored) ? at->file_size(ignored) : 0;
        if (size != static_cast<std::uintmax_t>(-1)) bytes += size;
    }
    return bytes;
}

std::size_t HoldfastUser::objects(const std::string& folder) const {
    std::size_t count = 0;
    std::error_code ignored;
    for (fs::recursive_directory_iterator at(repository() + "/" + folder, ignored), end; at != end;
         at.increment(ignored)) {
        if (at->is_regular_file(ignored)) ++count;
    }
    return count;
}

void HoldfastUser::settle() { std::this_thread::sleep_for(std::chrono::milliseconds(50)); }

} // namespace holdfast::test
