// A user whose machine loses its power: repository, key and all that the program keeps are on it.
#pragma once

#include "faults/power_loss/power_loss.h"
#include "support/holdfast_user.h"

#include <csignal>
#include <filesystem>

#include <fmt/format.h>

namespace holdfast::test {

class PowerUser : public HoldfastUser {
  protected:
    PowerUser() {
        std::filesystem::create_directories(on_machine("home"));
        options.environment["HOME"] = on_machine("home");
        options.environment["HOLDFAST_REPOSITORY"] = on_machine("repository");
        options.environment["HOLDFAST_KEY_FILE"] = on_machine("key");
        power.sync_all();
    }
    std::string on_machine(const std::string& name) const { return scratch.file("machine/") + name; }

    // With the program's syncs counted.
    RunOptions counted() const {
        RunOptions all = options;
        all.environment.merge(power.environment());
        return all;
    }
    // Until the power fails, at its sync of this number.
    ProgramRun run_until(std::uintmax_t sync, const Words& words) const {
        RunOptions until = counted();
        until.environment["HOLDFAST_POWER_LASTS"] = std::to_string(power.syncs() + sync);
        return run(words, until);
    }
    std::unique_ptr<RunningProgram> start_counted(Words words) const {
        words.insert(words.begin(), HOLDFAST_PROGRAM);
        return std::make_unique<RunningProgram>(words, counted());
    }
    void fill_source(std::uint64_t seed, unsigned files = 40) const {
        for (unsigned i = 0; i < files; ++i)
            write_random(fmt::format("folder{}/{}", i % 5, i), 3000 + 40'000 * (i % 7), seed + i);
    }
    void expect_all_is_well() {
        EXPECT_EQ(run({"verify", "--read-data"}).exit_code, 0) << run({"verify", "--read-data"}).out;
    }
    std::size_t snapshots() { return json({"snapshots"}).size(); }

    static std::string made(const std::string& directory) {
        std::filesystem::create_directories(directory);
        return directory;
    }
    PowerLoss power{made(scratch.file("machine")), scratch.file("notes")};
};

} // namespace holdfast::test
