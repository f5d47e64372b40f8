// What real shells propose, by the scripts that `holdfast completion` prints.
#include "support/holdfast_user.h"

#include <algorithm>
#include <fstream>
#include <sstream>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <gmock/gmock.h>

namespace holdfast::test {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsSupersetOf;
using testing::Not;
using Lines = std::vector<std::string>;

class ShellCompletion : public HoldfastUser {
  protected:
    ShellCompletion() {
        options.environment["HOLDFAST_CONFIG"] = scratch.file("holdfast.toml");
        options.environment["HOME"] = scratch.file("");
        options.environment["TERM"] = "dumb";
        options.directory = scratch.file("");
        std::ofstream(scratch.file("holdfast.toml"))
            << "[source.home]\nkind = \"documents\"\npaths = [\"/srv\"]\n"
               "[source.orders]\nkind = \"postgresql\"\n";
        std::ofstream(scratch.file("a file")) << "";
        for (const char* shell : {"bash", "zsh", "fish"})
            std::ofstream(scratch.file(shell)) << run({"completion", shell}).out;
    }
    Lines lines_of(const Words& command) {
        const ProgramRun ended = run_program(command, options);
        EXPECT_EQ(ended.error, "");
        Lines lines;
        std::istringstream text(ended.out);
        for (std::string line; std::getline(text, line);)
            if (!line.empty()) lines.push_back(line);
        std::ranges::sort(lines);
        return lines;
    }
    static std::string quoted(const Words& words) {
        Words all{HOLDFAST_PROGRAM};
        all.insert(all.end(), words.begin(), words.end());
        return fmt::format("'{}'", fmt::join(all, "' '"));
    }
    Lines bash(const Words& words) {
        return lines_of({"/bin/bash", "--norc", "-c",
                         fmt::format("source {}; COMP_WORDS=({}); COMP_CWORD={}; _holdfast; "
                                     "printf '%s\\n' \"${{COMPREPLY[@]}}\"",
                                     scratch.file("bash"), quoted(words), words.size())});
    }
    // Its own way to show what it would propose needs a terminal: what it is told is written instead.
    Lines zsh(const Words& words) {
        return lines_of({"/usr/bin/zsh", "-f", "-c",
                         fmt::format("compdef() {{ }}; _files() {{ print -l :files }}; "
                                     "_describe() {{ print -l -- ${{(P)2}} }}; source {}; words=({}); "
                                     "CURRENT={}; _holdfast",
                                     scratch.file("zsh"), quoted(words), words.size() + 1)});
    }
    Lines fish(const std::string& rest) {
        return lines_of({"/usr/bin/fish", "--no-config", "-c",
                         fmt::format("source {}; set PATH {} $PATH; complete -C "
                                     "'holdfast {}'",
                                     scratch.file("fish"), directory_of_program(), rest)});
    }
    static std::string directory_of_program() {
        const std::string program = HOLDFAST_PROGRAM;
        return program.substr(0, program.rfind('/'));
    }
};

TEST_F(ShellCompletion, BashProposesCommandsAndTheirOptions) {
    EXPECT_THAT(bash({"sta"}), ElementsAre("stats", "status"));
    EXPECT_THAT(bash({""}), IsSupersetOf({"backup", "restore", "operations", "completion"}));
    EXPECT_THAT(bash({""}), Not(Contains("complete"))) << "which is for the scripts";
    EXPECT_THAT(bash({"--json", "key", "r"}), ElementsAre("remove", "rotate"));
    EXPECT_THAT(bash({"snapshots", "--"}), IsSupersetOf({"--newest", "--repo", "--json", "--server"}));
    EXPECT_THAT(bash({"snapshots", "--new"}), ElementsAre("--newest"));
}

TEST_F(ShellCompletion, BashProposesValuesAndNames) {
    EXPECT_THAT(bash({"backup", "--type", ""}), ElementsAre("auto", "full", "incremental"));
    // As bash splits it.
    EXPECT_THAT(bash({"backup", "--type", "=", "fu"}), ElementsAre("full"));
    EXPECT_THAT(bash({"backup", "--type", "="}), ElementsAre("auto", "full", "incremental"));
    EXPECT_THAT(bash({"snapshots", "--source", ""}), ElementsAre("home", "orders"));
    EXPECT_THAT(bash({"window", ""}), ElementsAre("home", "orders"));
    EXPECT_THAT(bash({"window", "home", ""}), ElementsAre()) << "it takes one";
    EXPECT_THAT(bash({"completion", ""}), ElementsAre("bash", "fish", "zsh"));
    EXPECT_THAT(bash({"alerts", "test", "no_"}), Contains("no_backup"));
    // Behind an option's value the command goes on.
    EXPECT_THAT(bash({"window", "--at", "2026-01-01T00:00:00Z", "o"}), ElementsAre("orders"));
}

TEST_F(ShellCompletion, BashProposesFilesWhereTheyMayStand) {
    EXPECT_THAT(bash({"backup", ""}), IsSupersetOf({"home", "orders", "a file"}));
    EXPECT_THAT(bash({"snapshots", "--key-file", "a"}), ElementsAre("a file"));
    EXPECT_THAT(bash({"snapshots", "--source", "a"}), ElementsAre());
}

TEST_F(ShellCompletion, BashReadsTheConfigurationThatIsTyped) {
    std::ofstream(scratch.file("other.toml")) << "[source.other]\nkind = \"postgresql\"\n";
    EXPECT_THAT(bash({"--config", scratch.file("other.toml"), "window", ""}), ElementsAre("other"));
    // One that is wrong makes no noise.
    std::ofstream(scratch.file("other.toml")) << "nonsense";
    EXPECT_THAT(bash({"--config", scratch.file("other.toml"), "window", ""}), ElementsAre());
}

TEST_F(ShellCompletion, ZshProposesTheSame) {
    EXPECT_THAT(zsh({"stat"}), ElementsAre(HasSubstr("stats:Show how much"), HasSubstr("status:Can I")));
    EXPECT_THAT(zsh({"backup", "--type", "f"}), ElementsAre("full"));
    EXPECT_THAT(zsh({"backup", "--type=f"}), ElementsAre("--type=full"));
    EXPECT_THAT(zsh({"backup", "o"}), ElementsAre(":files", "orders"));
}

TEST_F(ShellCompletion, FishProposesTheSame) {
    EXPECT_THAT(fish("stat"), ElementsAre(HasSubstr("stats\tShow how much"), HasSubstr("status\tCan I")));
    EXPECT_THAT(fish("window o"), ElementsAre("orders"));
    EXPECT_THAT(fish("snapshots --key-file a"), ElementsAre("a file"));
}

TEST_F(ShellCompletion, RefusesOtherShells) {
    EXPECT_THAT(failure({"completion", "csh"}, 2), HasSubstr("csh"));
}

} // namespace
} // namespace holdfast::test
