#include "base/file_descriptor.h"
#include "execution/program.h"
#include "support/error_matchers.h"
#include "support/temporary_directory.h"

#include <csignal>
#include <fstream>
#include <thread>

#include <gmock/gmock.h>

namespace holdfast {
namespace {

using testing::ElementsAre;
using testing::SizeIs;

struct ShellRun {
    ProgramEnd end;
    std::vector<std::string> lines;
};

ShellRun run_shell(const std::string& script, const std::stop_token& stop = {},
                   Duration grace = std::chrono::seconds(60), std::size_t most_output = 1000) {
    ShellRun run;
    run.end = run_program(
        {.program = "/bin/sh", .arguments = {"-c", script}, .most_output_bytes = most_output, .grace = grace},
        [&](std::string_view line) { run.lines.emplace_back(line); }, stop);
    return run;
}

TEST(RunProgram, TellsOutputLinesAndExitCode) {
    const ShellRun run = run_shell("echo result; echo one >&2; printf 'two\\n\\nthree' >&2; exit 3");
    EXPECT_EQ(run.end.output, "result\n");
    EXPECT_EQ(run.end.exit_code, 3);
    EXPECT_FALSE(run.end.signalled);
    EXPECT_FALSE(run.end.output_cut);
    EXPECT_THAT(run.lines, ElementsAre("one", "two", "", "three"));
}

TEST(RunProgram, GivesArgumentsAsTheyAreAndNoInput) {
    std::vector<std::string> lines;
    const ProgramEnd end = run_program(
        {.program = "/bin/sh", .arguments = {"-c", "printf '%s|' \"$@\"; cat", "sh", "", "a b", "$HOME"}},
        [](std::string_view) {}, {});
    EXPECT_EQ(end.output, "|a b|$HOME|");
}

TEST(RunProgram, IsAsUrgentAsIsSaid) {
    const auto niceness = [](int nice) {
        return std::stoi(
            run_program({.program = "/usr/bin/nice", .nice = nice}, [](std::string_view) {}, {}).output);
    };
    EXPECT_EQ(niceness(7), niceness(0) + 7);
}

TEST(RunProgram, KeepsABoundedPartOfTheOutput) {
    const ShellRun run = run_shell("head -c 100000 /dev/zero; head -c 100000 /dev/zero | tr '\\0' x >&2", {},
                                   std::chrono::seconds(60), 10);
    EXPECT_EQ(run.end.output, std::string(10, '\0'));
    EXPECT_TRUE(run.end.output_cut);
    ASSERT_THAT(run.lines, SizeIs(1));
    EXPECT_EQ(run.lines.front(), std::string(64 << 10, 'x'));
}

TEST(RunProgram, SaysWhatCannotBeStarted) {
    test::expect_error(
        ErrorCode::not_found,
        [] { run_program({.program = "/nowhere/holdfast"}, [](std::string_view) {}, {}); },
        "/nowhere/holdfast");
}

TEST(RunProgram, SaysWhichSignalEndedIt) {
    const ShellRun run = run_shell("kill -9 $$");
    EXPECT_TRUE(run.end.signalled);
    EXPECT_EQ(run.end.exit_code, 128 + SIGKILL);
}

TEST(RunProgram, AsksToStopAndWaits) {
    std::stop_source stop;
    std::vector<std::string> lines;
    const ProgramEnd end = run_program(
        {.program = "/bin/sh",
         .arguments = {"-c",
                       "trap 'echo stopping >&2; exit 5' INT; echo ready >&2; while :; do sleep 0.05; done"}},
        [&](std::string_view line) {
            lines.emplace_back(line);
            if (line == "ready") stop.request_stop();
        },
        stop.get_token());
    EXPECT_EQ(end.exit_code, 5);
    EXPECT_THAT(lines, ElementsAre("ready", "stopping"));
}

TEST(RunProgram, AsksWithTheSignalThatIsMeantByThen) {
    std::stop_source stop;
    int meant = SIGINT;
    const ProgramEnd end = run_program(
        {.program = "/bin/sh",
         .arguments = {"-c", "trap 'exit 5' INT; trap 'exit 6' TERM; echo ready >&2; "
                             "while :; do sleep 0.05; done"},
         .stop_signal = [&] { return meant; }},
        [&](std::string_view) {
            meant = SIGTERM;
            stop.request_stop();
        },
        stop.get_token());
    EXPECT_EQ(end.exit_code, 6);
}

TEST(RunProgram, EndsWhatDoesNotStopInTime) {
    std::stop_source stop;
    const ProgramEnd end = run_program(
        {.program = "/bin/sh",
         .arguments = {"-c", "trap '' INT; echo ready >&2; while :; do sleep 0.05; done"},
         .grace = std::chrono::milliseconds(200)},
        [&](std::string_view) { stop.request_stop(); }, stop.get_token());
    EXPECT_TRUE(end.signalled);
    EXPECT_EQ(end.exit_code, 128 + SIGKILL);
}

TEST(RunProgram, DoesNotWaitForWhatItLeavesBehind) {
    const test::TemporaryDirectory directory;
    const std::string pid = directory / "pid";
    const ShellRun run = run_shell("sleep 1000 & echo $! > " + pid + "; echo done");
    EXPECT_EQ(run.end.output, "done\n");
    EXPECT_EQ(run.end.exit_code, 0);
    const Bytes text = read_file(pid, 100);
    EXPECT_EQ(::kill(std::stoi(std::string(as_text(text))), SIGKILL), 0) << "it was to be left alone";
}

} // namespace
} // namespace holdfast
