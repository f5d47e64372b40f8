// Killed, interrupted, out of space, read-only: what the user is told, and that typing the same again helps.
#include "support/holdfast_user.h"

#include <csignal>
#include <filesystem>
#include <thread>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <sys/mount.h>

namespace holdfast::test {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;
using testing::AnyOf;
using testing::HasSubstr;

constexpr std::uint64_t megabyte = 1'000'000;

struct Unmount {
    void operator()(const std::string* path) const { ::umount2(path->c_str(), MNT_DETACH); }
};

class Interrupted : public HoldfastUser {
  protected:
    Interrupted() { init(); }

    // Starts a backup and returns when a checkpoint and this many bytes are in the repository.
    std::unique_ptr<RunningProgram> start_until(std::uint64_t bytes, const std::string& rate) {
        auto program = start({"backup", "--quiet", "--checkpoint-seconds", "0.2", "--limit-upload", rate,
                              "--source", "home", source()});
        while (!program->ended() && (repository_bytes() < bytes || objects("checkpoints") == 0)) {
            std::this_thread::sleep_for(std::chrono::milliseconds(5));
        }
        EXPECT_FALSE(program->ended()) << "it was done before it could be stopped";
        return program;
    }
    // The backup that is typed again goes on: it reads little of what was stored, and stores it once.
    void expect_it_goes_on(std::uint64_t size) {
        const std::uint64_t stored = repository_bytes();
        EXPECT_EQ(json({"snapshots"}).size(), 0U);
        const Json made = back_up();
        EXPECT_TRUE(made["resumed"].get<bool>());
        EXPECT_EQ(made["size_bytes"], size);
        EXPECT_LT(made["read_bytes"], size - stored / 3);
        // Packs that were under way when it ended are all that is stored again.
        EXPECT_LT(repository_bytes(), size + 80 * megabyte);
        expect_restore_equals_source();
        json({"prune", "--patience-hours", "0"});
        // Packs of which less than a quarter is dead are kept as they are.
        EXPECT_LT(repository_bytes(), size + size / 10);
        EXPECT_TRUE(json({"verify", "--read-data"})["intact"].get<bool>());
    }
};

TEST_F(Interrupted, KilledInTheMiddleOfThreeHundredMegabytes) {
    for (unsigned i = 0; i < 15; ++i) write_random(fmt::format("{:02}", i), 10 * megabyte, i);
    write_random("large", 150 * megabyte, 99);
    settle();
    const auto program = start_until(120 * megabyte, "150M");
    program->signal(SIGKILL);
    EXPECT_EQ(program->finish().exit_code, 128 + SIGKILL);
    expect_it_goes_on(300 * megabyte);
}

TEST_F(Interrupted, BySignalItEndsWithOneAndCanGoOn) {
    // Several packs are on their way at once: what is left when the first have come must be more than those.
    for (unsigned i = 0; i < 16; ++i) write_random(fmt::format("{:02}", i), 10 * megabyte, i);
    settle();
    const auto program = start_until(16 * megabyte, "60M");
    // Twice at once, as timeout(1) does it: to the process, and to its group.
    program->signal(SIGINT);
    program->signal(SIGTERM);
    const ProgramRun ended = program->finish();
    EXPECT_EQ(ended.exit_code, 1);
    EXPECT_THAT(ended.error, HasSubstr("stopped"));
    expect_it_goes_on(160 * megabyte);
}

TEST_F(Interrupted, ADiskThatIsFullIsSaidSoAndNothingIsHalfDone) {
    const std::string disk = scratch.file("disk");
    fs::create_directory(disk);
    ASSERT_EQ(::mount("none", disk.c_str(), "tmpfs", 0, "size=4m"), 0)
        << "this test must be allowed to mount";
    const std::unique_ptr<const std::string, Unmount> mounted(&disk);
    options.environment["HOLDFAST_REPOSITORY"] = disk + "/repository";
    options.environment["HOLDFAST_KEY_FILE"] = scratch.file("second key");
    json({"init"});
    write_random("small", 200'000, 1);
    settle();
    back_up();
    write_random("too large", 20 * megabyte, 2);
    settle();
    const Json answer = back_up(1);
    EXPECT_EQ(answer["error"]["code"], "no_space");
    EXPECT_THAT(answer["error"]["message"].get<std::string>(), HasSubstr("space"));
    EXPECT_NE(answer["error"]["hint"], "");
    EXPECT_EQ(json({"snapshots"}).size(), 1U);
    EXPECT_EQ(json({"verify"})["intact"], true);
    fs::remove(place("too large"));
    ASSERT_EQ(::mount("none", disk.c_str(), "tmpfs", MS_REMOUNT, "size=40m"), 0);
    back_up();
    expect_restore_equals_source();
    EXPECT_EQ(json({"verify", "--read-data"})["intact"], true);
}

TEST_F(Interrupted, AReadOnlyRepositoryRestoresAndSaysWhyItTakesNothing) {
    write("a", "text");
    settle();
    back_up();
    const std::string view = scratch.file("view");
    fs::create_directory(view);
    ASSERT_EQ(::mount(repository().c_str(), view.c_str(), nullptr, MS_BIND, nullptr), 0)
        << "this test must be allowed to mount";
    const std::unique_ptr<const std::string, Unmount> mounted(&view);
    ASSERT_EQ(::mount(nullptr, view.c_str(), nullptr, MS_BIND | MS_REMOUNT | MS_RDONLY, nullptr), 0);
    options.environment["HOLDFAST_REPOSITORY"] = view;
    write("b", "text");
    const Json answer = back_up(1);
    EXPECT_EQ(answer["error"]["code"], "read_only");
    EXPECT_NE(answer["error"]["hint"], "");
    EXPECT_EQ(json({"prune"}, 1)["error"]["code"], "read_only");
    EXPECT_EQ(run({"cat", "latest", place("a")}).out, "text");
    EXPECT_EQ(json({"verify", "--read-data"})["intact"], true);
    options.environment["HOLDFAST_REPOSITORY"] = repository();
    back_up();
    expect_restore_equals_source();
}

TEST_F(Interrupted, TwoBackupsAndAPruneAtOnce) {
    write_random("shared", 20 * megabyte, 1);
    write("a", "text");
    settle();
    const std::string gone = back_up()["id"];
    write("a", "newer");
    settle();
    back_up();
    json({"forget", gone});
    const auto one = start({"backup", "--quiet", "--source", "home", source()});
    const auto two = start({"backup", "--quiet", "--source", "other", "--read-everything", source()});
    const auto prune = start({"prune", "--quiet", "--wait", "60"});
    EXPECT_EQ(one->finish().exit_code, 0);
    EXPECT_EQ(two->finish().exit_code, 0);
    const ProgramRun pruned = prune->finish();
    EXPECT_THAT(pruned.exit_code, AnyOf(0, 3)) << pruned.out << pruned.error;
    EXPECT_EQ(json({"snapshots"}).size(), 3U);
    EXPECT_EQ(json({"verify", "--read-data"})["intact"], true);
    expect_restore_equals_source();
}

} // namespace
} // namespace holdfast::test
