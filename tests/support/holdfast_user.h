// A user who types commands: the program, a repository on a disk, a key, a home of his own.
#pragma once

#include "support/run_program.h"
#include "support/scratch_directory.h"
#include "support/tree_listing.h"

#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace holdfast::test {

class HoldfastUser : public testing::Test {
  protected:
    using Words = std::vector<std::string>;

    // The environment names the repository, the key file and the cache; nothing exists yet but directories.
    HoldfastUser();

    // Runs `holdfast WORDS`.
    ProgramRun run(const Words& words) { return run(words, options); }
    ProgramRun run(const Words& words, const RunOptions& as) const;
    std::unique_ptr<RunningProgram> start(const Words& words) const;
    // Adds --json; the exit code must be `exit_code`, and standard output one JSON value, which is returned.
    nlohmann::json json(const Words& words, int exit_code = 0) { return json(words, exit_code, options); }
    nlohmann::json json(Words words, int exit_code, const RunOptions& as) const;
    // The command must fail with `exit_code`; returns what it wrote to standard error.
    std::string failure(const Words& words, int exit_code) { return failure(words, exit_code, options); }
    std::string failure(const Words& words, int exit_code, const RunOptions& as) const;

    void init() { json({"init"}); }
    nlohmann::json back_up(int exit_code = 0) {
        return json({"backup", "--source", "home", source()}, exit_code);
    }
    // Restores the newest snapshot of a source into a new directory and compares it with the tree.
    void expect_restore_equals_source(const std::string& of = "home");

    std::string source() const { return scratch.file("source"); }
    std::string repository() const { return scratch.file("repository"); }
    std::string place(const std::string& path) const { return source() + "/" + path; }
    void write(const std::string& path, const std::string& content) const;
    void write_random(const std::string& path, std::size_t size, std::uint64_t seed) const;
    static std::string content_of(const std::string& file);
    std::uint64_t repository_bytes() const;
    std::size_t objects(const std::string& folder) const;
    // Lets the times of what was written last settle, so that the next backup trusts them.
    static void settle();

    ScratchDirectory scratch;
    RunOptions options;
    unsigned restores_ = 0;
};

} // namespace holdfast::test
