// How the program talks: versions, mistyped commands, silence, counts, and what to type next.
#include "support/holdfast_user.h"

#include <filesystem>
#include <sstream>

#include <fmt/format.h>
#include <gmock/gmock.h>

namespace holdfast::test {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

class Talk : public HoldfastUser {
  protected:
    // The words of a line for a shell, as the shell takes them.
    static Words as_a_shell_reads(const std::string& line) {
        const ProgramRun said = run_program({"/bin/sh", "-c", "printf '%s\\n' " + line}, {});
        Words words;
        std::istringstream lines(said.out);
        for (std::string word; std::getline(lines, word);) words.push_back(word);
        return words;
    }
};

TEST_F(Talk, TheVersionIsAnOptionAndACommand) {
    const ProgramRun option = run({"--version"});
    EXPECT_EQ(option.exit_code, 0);
    EXPECT_THAT(option.out, StartsWith("holdfast "));
    EXPECT_EQ(option.error, "");
    EXPECT_EQ(run({"version"}).out, option.out);
}

TEST_F(Talk, AMistypedCommandIsAnsweredWithWhatWasMeant) {
    EXPECT_THAT(failure({"snapshot"}, 2),
                AllOf(HasSubstr("no command 'snapshot'"), HasSubstr("did you mean 'snapshots'?")));
    EXPECT_THAT(failure({"bakcup", source(), "--source", "home"}, 2), HasSubstr("did you mean 'backup'?"));
    EXPECT_THAT(failure({"--repo", repository(), "restor"}, 2), HasSubstr("restore"));
    EXPECT_THAT(failure({"key", "ad", "--label", "x"}, 2),
                AllOf(HasSubstr("no command 'key ad'"), HasSubstr("did you mean 'add'?")));
    EXPECT_THAT(failure({"frobnicate"}, 2),
                AllOf(HasSubstr("no command 'frobnicate'"), HasSubstr("holdfast --help")));
    const Json answer = json({"snapshot"}, 2);
    EXPECT_EQ(answer["error"]["code"], "usage");
    // Nothing typed at all is no mistyped command.
    EXPECT_THAT(failure({}, 2), Not(HasSubstr("no command")));
}

TEST_F(Talk, QuietLeavesOutResultsAndKeepsErrorsAnswersAndTheRecoveryKey) {
    const ProgramRun made = run({"init", "-q"});
    EXPECT_EQ(made.exit_code, 0);
    EXPECT_THAT(made.out, AllOf(HasSubstr("Recovery key"), Not(HasSubstr("Created"))));
    write("a", "text");
    write("b", "text");
    settle();
    const auto says_nothing = [&](const Words& words) {
        const ProgramRun done = run(words);
        EXPECT_EQ(done.exit_code, 0) << done.out << done.error;
        EXPECT_EQ(done.out + done.error, "");
    };
    says_nothing({"backup", "-q", "--source", "home", source()});
    write("a", "newer");
    settle();
    says_nothing({"backup", "--quiet", "--source", "home", source()});
    says_nothing({"verify", "-q"});
    says_nothing({"restore", "-q", "latest", "--to", scratch.file("out")});
    says_nothing({"key", "add", "-q", "--label", "x", "--role", "read", "--new-key-file", scratch.file("x")});
    says_nothing({"key", "remove", "-q", "x"});
    says_nothing({"key", "rotate", "-q"});
    const std::string oldest = json({"snapshots"})[1]["id"];
    says_nothing({"forget", "-q", oldest});
    says_nothing({"prune", "-q"});
    says_nothing({"repair", "index", "-q"});
    // What was asked for is answered.
    EXPECT_NE(run({"snapshots", "-q"}).out, "");
    EXPECT_EQ(run({"cat", "-q", "latest", place("a")}).out, "newer");
    EXPECT_TRUE(Json::accept(run({"backup", "-q", "--json", "--source", "home", source()}).out));
    // And what went wrong is said.
    EXPECT_THAT(failure({"forget", "-q", "ffffffff"}, 2), HasSubstr("ffffffff"));
    const ProgramRun partial = run({"backup", "-q", "--source", "home", source(), place("no such")});
    EXPECT_NE(partial.exit_code, 0);
    EXPECT_THAT(partial.error, HasSubstr("no such"));
    for (const auto& entry : fs::recursive_directory_iterator(repository() + "/packs")) {
        if (entry.is_regular_file()) fs::remove(entry.path());
    }
    const ProgramRun damaged = run({"verify", "-q"});
    EXPECT_EQ(damaged.exit_code, 1);
    EXPECT_EQ(damaged.out, "");
    EXPECT_THAT(damaged.error, HasSubstr("DAMAGED"));
}

TEST_F(Talk, OneOfAThingIsNotSeveral) {
    init();
    write("only", "text");
    settle();
    const std::string one = run({"backup", "--source", "home", place("only")}).out;
    EXPECT_THAT(one, HasSubstr("1 file in "));
    EXPECT_THAT(run({"verify"}).out, HasSubstr("1 snapshot, "));
    EXPECT_THAT(run({"stats"}).out, StartsWith("1 snapshot of"));
    EXPECT_THAT(run({"restore", "latest", "--to", scratch.file("out")}).out, HasSubstr("1 file, "));
    write("second", "text");
    settle();
    EXPECT_THAT(run({"backup", "--source", "home", place("only"), place("second")}).out,
                HasSubstr("2 files in "));
    EXPECT_THAT(run({"verify"}).out, HasSubstr("2 snapshots, "));
}

TEST_F(Talk, WhatInitSaysToTypeNextWorks) {
    // Places that a shell would take apart.
    options.environment["HOLDFAST_REPOSITORY"] = scratch.file("my repository & 'more'");
    options.environment["HOLDFAST_KEY_FILE"] = scratch.file("my $key");
    const ProgramRun made = run({"init"});
    ASSERT_EQ(made.exit_code, 0) << made.error;
    EXPECT_THAT(made.out, HasSubstr("at " + scratch.file("my repository & 'more'")));
    const std::size_t at = made.out.find("holdfast backup ");
    ASSERT_NE(at, std::string::npos) << made.out;
    Words words = as_a_shell_reads(made.out.substr(at, made.out.find('\n', at) - at));
    ASSERT_EQ(words.front(), "holdfast");
    words.erase(words.begin());
    write("a", "text");
    for (std::string& word : words) word = word == "NAME" ? "home" : word == "PATH" ? source() : word;
    RunOptions bare = options;
    bare.environment.erase("HOLDFAST_REPOSITORY");
    bare.environment.erase("HOLDFAST_KEY_FILE");
    const ProgramRun next = run(words, bare);
    EXPECT_EQ(next.exit_code, 0) << next.error;
    EXPECT_EQ(json({"snapshots"}).size(), 1U);
}

TEST_F(Talk, WhatKeyIdentitySaysToTypeNextWorks) {
    init();
    const ProgramRun made = run({"key", "identity", scratch.file("private")});
    ASSERT_EQ(made.exit_code, 0);
    EXPECT_EQ(std::ranges::count(made.out, '\n'), 1) << "a script takes the one line";
    const std::size_t at = made.error.find("holdfast key add ");
    ASSERT_NE(at, std::string::npos) << made.error;
    Words words = as_a_shell_reads(made.error.substr(at, made.error.find('\n', at) - at));
    EXPECT_EQ(words.back() + "\n", made.out);
    words.erase(words.begin());
    for (std::string& word : words) word = word == "NAME" ? "agent" : word;
    const ProgramRun added = run(words);
    EXPECT_EQ(added.exit_code, 0) << added.error;
    EXPECT_EQ(json({"key", "list"}).size(), 3U); // with the recovery key's
}

TEST_F(Talk, DiffListsDirectoriesAboveWhatIsInThem) {
    init();
    write("a/old/deep/file", "x");
    write("a/stays", "x");
    settle();
    const std::string before = back_up()["id"];
    fs::remove_all(place("a/old"));
    write("a/new/deep/file", "x");
    write("a/stays", "changed");
    settle();
    const std::string after = back_up()["id"];
    const std::string text = run({"diff", before, after}).out;
    const std::string wanted =
        fmt::format("m {0}/a/\n+ {0}/a/new/\n+ {0}/a/new/deep/\n+ {0}/a/new/deep/file\n"
                    "- {0}/a/old/\n- {0}/a/old/deep/\n- {0}/a/old/deep/file\n"
                    "M {0}/a/stays\n",
                    source());
    EXPECT_THAT(text, HasSubstr(wanted));
}

// Whoever can write to a repository chooses these.
TEST_F(Talk, NamesOutOfARepositorySteerNoTerminal) {
    init();
    write("a", "text");
    const std::string bad = "bad\x1b]0;owned\x07\xc2\x9b"
                            "2J\nroot";
    const std::string shown = "bad\\x1b]0;owned\\x07\\xc2\\x9b2J\\x0aroot";
    const std::string id =
        json({"backup", "--source", bad, "--tag", "why=" + bad, "--host", bad, source()})["id"];
    const auto said = [&](const Words& words, int exit_code = 0) {
        const ProgramRun result = run(words);
        EXPECT_EQ(result.exit_code, exit_code) << words[0] << result.error;
        const std::string text = result.out + result.error;
        EXPECT_EQ(text.find_first_of("\x1b\x07\x9b"), std::string::npos) << words[0];
        return text;
    };
    EXPECT_THAT(said({"backup", "--source", bad, source()}), HasSubstr("'" + shown + "'"));
    EXPECT_THAT(said({"snapshots"}), AllOf(HasSubstr("  " + shown), HasSubstr("why=" + shown)));
    EXPECT_THAT(said({"hold", "add", id, "--reason", bad, "--owner", bad}), HasSubstr(": " + shown));
    EXPECT_THAT(said({"hold", "list"}), HasSubstr(shown + "\n"));
    EXPECT_THAT(said({"tag", id, "other=" + bad}), HasSubstr("other=" + shown));
    EXPECT_THAT(said({"stats"}), HasSubstr(shown));
    // In what went wrong, too.
    EXPECT_THAT(said({"forget", id}, 2), HasSubstr("is held: " + shown));
    // A program gets it as it is.
    EXPECT_EQ(json({"snapshots", "--source", bad}).size(), 2U);
}

TEST_F(Talk, EveryWrongUsageIsJsonWhereItWasAskedFor) {
    init();
    for (const Words& words : std::vector<Words>{{"diff", "latest"},
                                                 {"restore", "latest"},
                                                 {"backup", "--no-such-option"},
                                                 {"snapshots", "--newest", "many"},
                                                 {"key"},
                                                 {}}) {
        const Json answer = json(words, 2);
        EXPECT_EQ(answer["error"]["code"], "usage");
        EXPECT_NE(answer["error"]["message"], "");
        EXPECT_THAT(answer["error"]["hint"].get<std::string>(), HasSubstr("--help"));
    }
    EXPECT_THAT(json({"restore", "latest"}, 2)["error"]["message"].get<std::string>(), HasSubstr("--to"));
    const ProgramRun text = run({"diff", "latest"});
    EXPECT_EQ(text.out, "");
    EXPECT_EQ(run({"--json", "diff", "latest"}).exit_code, 2);
}

} // namespace
} // namespace holdfast::test
