// What cannot be read, vanishes or changes under the reader: told, marked, and the rest goes on.
#include "support/holdfast_user.h"

#include <atomic>
#include <filesystem>
#include <fstream>
#include <functional>
#include <set>
#include <thread>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <unistd.h>

namespace holdfast::test {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;
using testing::HasSubstr;
using testing::Not;

constexpr uid_t nobody = 65534;

class LeftOut : public HoldfastUser {
  protected:
    // A user without privileges, with a copy of the program where he can reach it, and a repository.
    void init_as_nobody() {
        ASSERT_EQ(::geteuid(), 0U) << "this test must run as root";
        fs::copy_file(HOLDFAST_PROGRAM, program());
        fs::permissions(program(), fs::perms(0755));
        ASSERT_EQ(::chown(scratch.path().c_str(), nobody, nobody), 0);
        ASSERT_EQ(::chown(scratch.file("home").c_str(), nobody, nobody), 0);
        options.user = nobody;
        as_nobody({"init"}, 0);
    }
    std::string program() const { return scratch.file("program"); }
    ProgramRun as_nobody(Words words, int exit_code) const {
        words.insert(words.begin(), program());
        const ProgramRun result = run_program(words, options);
        EXPECT_EQ(result.exit_code, exit_code) << result.out << result.error;
        return result;
    }
    // Runs a backup that sends slowly, and calls `act` again and again while it has `path` open. The result.
    Json back_up_while_open(const std::string& path, int exit_code, const std::function<void()>& act) {
        const auto program =
            start({"backup", "--json", "--limit-upload", "25M", "--source", "home", source()});
        unsigned acts = 0;
        while (!program->ended()) {
            if (program->has_open(place(path))) {
                act();
                ++acts;
            }
            std::this_thread::sleep_for(std::chrono::milliseconds(2));
        }
        EXPECT_GT(acts, 0U) << "the file was never seen open";
        const ProgramRun result = program->finish();
        EXPECT_EQ(result.exit_code, exit_code) << result.error;
        return Json::parse(result.out, nullptr, false);
    }
};

TEST_F(LeftOut, AFileThatMayNotBeRead) {
    ASSERT_NO_FATAL_FAILURE(init_as_nobody());
    write("a", "may be read");
    write("closed", "may not");
    write("shut/in here", "nor this");
    write("z", "may be read");
    fs::permissions(place("closed"), fs::perms(0600));
    fs::permissions(place("shut"), fs::perms(0700));
    settle();

    const Json made = Json::parse(as_nobody({"backup", "--json", "--source", "home", source()}, 3).out);
    EXPECT_EQ(made["state"], "partial");
    EXPECT_EQ(made["failed"], 2);
    std::set<std::string> problems;
    for (const Json& problem : made["problems"]) problems.insert(problem["path"]);
    EXPECT_EQ(problems, (std::set<std::string>{place("closed"), place("shut")}));
    EXPECT_EQ(Json::parse(as_nobody({"snapshots", "--json"}, 0).out)[0]["state"], "partial");
    const std::string text = as_nobody({"backup", "--source", "home", source()}, 3).out;
    EXPECT_THAT(text, HasSubstr("2 left out"));
    EXPECT_THAT(text, HasSubstr(place("closed")));

    // A restore says again what the snapshot does not have.
    const ProgramRun restored =
        as_nobody({"restore", "latest", "--no-owner", "--to", scratch.file("out")}, 3);
    EXPECT_THAT(restored.out, HasSubstr("2 failed"));
    EXPECT_THAT(restored.out, HasSubstr(place("closed")));
    EXPECT_THAT(restored.out, HasSubstr(place("shut")));
    EXPECT_FALSE(fs::exists(scratch.file("out") + place("closed")));
    EXPECT_EQ(content_of(scratch.file("out") + place("a")), "may be read");
    EXPECT_EQ(content_of(scratch.file("out") + place("z")), "may be read");
    // Once it can be read, the next backup has it.
    fs::permissions(place("closed"), fs::perms(0644));
    fs::permissions(place("shut"), fs::perms(0755));
    const Json whole = Json::parse(as_nobody({"backup", "--json", "--source", "home", source()}, 0).out);
    EXPECT_EQ(whole["state"], "complete");
    EXPECT_EQ(as_nobody({"cat", "latest", place("closed")}, 0).out, "may not");
}

TEST_F(LeftOut, ADirectoryThatCanNoLongerBeReadIsNotTakenForEmpty) {
    ASSERT_NO_FATAL_FAILURE(init_as_nobody());
    write("a", "may be read");
    write("shut/in here", "once");
    settle();
    const std::string whole =
        Json::parse(as_nobody({"backup", "--json", "--source", "home", source()}, 0).out)["id"];
    as_nobody({"restore", whole, "--no-owner", "--to", scratch.file("out")}, 0);
    fs::permissions(place("shut"), fs::perms(0700));

    const Json made = Json::parse(as_nobody({"backup", "--json", "--source", "home", source()}, 3).out);
    EXPECT_EQ(made["state"], "partial");
    EXPECT_EQ(made["failed"], 1);
    EXPECT_EQ(made["problems"][0]["path"], place("shut"));

    EXPECT_THAT(as_nobody({"ls", "-l", "latest", source()}, 0).out, HasSubstr("shut  (could not be read)"));
    const ProgramRun listed = as_nobody({"ls", "latest", place("shut")}, 3);
    EXPECT_EQ(listed.out, "");
    EXPECT_THAT(listed.error, HasSubstr(place("shut")));
    EXPECT_THAT(as_nobody({"ls", "-R", "latest"}, 3).error, HasSubstr(place("shut")));
    EXPECT_EQ(as_nobody({"ls", "-R", whole}, 0).error, "");

    const ProgramRun differences = as_nobody({"diff", whole, "latest"}, 3);
    EXPECT_THAT(differences.out, HasSubstr("? " + place("shut") + "/\n"));
    EXPECT_THAT(differences.out, Not(HasSubstr("in here")));
    EXPECT_THAT(differences.error, HasSubstr(place("shut")));
    EXPECT_THAT(as_nobody({"diff", "latest", whole}, 3).out, Not(HasSubstr("in here")));
    const Json counted = Json::parse(as_nobody({"diff", "--json", whole, "latest"}, 3).out);
    EXPECT_EQ(counted["counts"]["unknown"], 1);
    EXPECT_FALSE(counted["counts"].contains("removed"));
    EXPECT_EQ(as_nobody({"diff", "latest", "latest"}, 0).error, "");

    const ProgramRun restored =
        as_nobody({"restore", "latest", "--no-owner", "--to", scratch.file("other")}, 3);
    EXPECT_THAT(restored.out, HasSubstr(place("shut") + ": not all of it is in the snapshot"));
    // What it held is not known to be gone: nothing is deleted, and the earlier snapshot has it.
    as_nobody({"restore", "latest", "--no-owner", "--in-place", "--delete", "--to", scratch.file("out")}, 3);
    EXPECT_EQ(content_of(scratch.file("out") + place("shut/in here")), "once");
    EXPECT_EQ(as_nobody({"cat", whole, place("shut/in here")}, 0).out, "once");
}

TEST_F(LeftOut, AFileThatVanishes) {
    init();
    write_random("a large one", 30'000'000, 1);
    write("z vanishes", "text");
    settle();
    const Json made = back_up_while_open("a large one", 3, [&] { fs::remove(place("z vanishes")); });
    EXPECT_EQ(made["state"], "partial");
    EXPECT_EQ(made["failed"], 1);
    EXPECT_EQ(made["problems"][0]["path"], place("z vanishes"));
    EXPECT_THAT(made["problems"][0]["reason"].get<std::string>(), HasSubstr("vanished"));
    json({"restore", "latest", "--to", scratch.file("out")});
    TreeListing expected = list_tree(source()), found = list_tree(scratch.file("out") + source());
    // The directory was seen before the file went, which changed its time.
    EXPECT_EQ(expected.erase("") + found.erase(""), 2U);
    EXPECT_EQ(difference(expected, found), "");
}

TEST_F(LeftOut, AFileThatGrowsWhileItIsRead) {
    init();
    write_random("log", 30'000'000, 1);
    settle();
    const Json made = back_up_while_open(
        "log", 0, [&] { std::ofstream(place("log"), std::ios::app) << "one line more\n"; });
    EXPECT_EQ(made["changed_while_read"], 1);
    EXPECT_THAT(run({"ls", "-l", "latest", place("log")}).out, HasSubstr("changed while it was read"));
    EXPECT_TRUE(json({"verify", "--read-data"})["intact"].get<bool>());
    // What was taken is a beginning of it, and the next backup takes it whole.
    const std::string taken = run({"cat", "latest", place("log")}).out;
    EXPECT_GE(taken.size(), 30'000'000U);
    EXPECT_TRUE(content_of(place("log")).starts_with(taken));
    EXPECT_EQ(back_up()["changed_while_read"], 0);
    expect_restore_equals_source();
}

TEST_F(LeftOut, APathThatIsNotThere) {
    init();
    write("a", "text");
    const ProgramRun result = run({"backup", "--source", "home", source(), place("no such")});
    EXPECT_NE(result.exit_code, 0);
    EXPECT_THAT(result.out + result.error, HasSubstr("no such"));
}

} // namespace
} // namespace holdfast::test
