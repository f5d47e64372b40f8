// The clock of the server's machine leaps while it runs, and comes back.
#include "integration/server/moving_clock.h"
#include "integration/server/serve_fixture.h"

#include <csignal>

#include <gmock/gmock.h>

namespace holdfast::test {
namespace {

using Json = nlohmann::json;
using testing::HasSubstr;
using testing::UnorderedElementsAre;
using testing::UnorderedElementsAreArray;

constexpr const char* keep_one = "[policy.short.retention]\nlast = 1\n";

class ServeClock : public Serve {
  protected:
    std::string back_up_something(std::uint64_t seed) {
        write_random("a", 1'000'000, seed);
        settle();
        return json({"backup", "home"})["id"];
    }
    std::vector<std::string> snapshots_left() {
        std::vector<std::string> ids;
        for (const Json& snapshot : json({"snapshots"})) ids.push_back(snapshot["id"]);
        return ids;
    }
    // Whether somebody has looked at the clock, and remembers it.
    bool clock_is_known() const {
        for (const auto& cache : std::filesystem::directory_iterator(scratch.file("home/.cache/holdfast")))
            if (std::filesystem::exists(cache.path() / "clock")) return true;
        return false;
    }
    // Asks for the rules to be applied, and returns what came of it, or of its first attempt.
    Operation enforce(RunningProgram& server, const std::string& request = "{}") {
        const auto id =
            beside().operations.add({.kind = "retention", .request = request, .requested_by = "anna"});
        Operation now;
        wait_until(server, [&] {
            now = beside().operations.find(id.value()).value();
            return is_over(now.state) || now.failures > 0;
        });
        return now;
    }

    MovingClock clock{scratch.file("clock"), options};
};

TEST_F(ServeClock, ThatRunsAwayDeletesNothing) {
    configure("");
    std::vector<std::string> made;
    for (std::uint64_t i = 0; i < 3; ++i) made.push_back(back_up_something(i));
    configure(std::string("[policy.short]\nsources = [\"home\"]\n") + keep_one);
    const auto server = clock.start([&] { return start({"serve"}); });
    operations(*server);

    clock.move("+20d"); // by which no backup is missing yet: that it is another time than the store's tells
    Operation refused = enforce(*server);
    EXPECT_GE(refused.failures + (refused.state == OperationState::failed ? 1 : 0), 1);
    EXPECT_THAT(refused.error.value_or(""), HasSubstr("the clock of this machine shows"));
    clock.move("-20d");
    refused = enforce(*server);
    EXPECT_NE(refused.state, OperationState::succeeded);
    EXPECT_THAT(snapshots_left(), UnorderedElementsAreArray(made));

    clock.move("+0");
    const Operation done = enforce(*server);
    EXPECT_EQ(done.state, OperationState::succeeded) << done.error.value_or("");
    EXPECT_THAT(snapshots_left(), UnorderedElementsAre(made.back()));
    // What was refused is tried again by the right clock, and is not kept waiting by the wrong one.
    wait_until_all_over(*server, 3);
    server->signal(SIGTERM);
    EXPECT_EQ(server->finish().exit_code, 0);
}

// As in a folder on the machine whose clock it is.
TEST_F(ServeClock, ThatLeapsTogetherWithItsStoreDeletesNothingUntilSomebodySaysItIsRight) {
    configure("");
    std::vector<std::string> made;
    for (std::uint64_t i = 0; i < 3; ++i) made.push_back(back_up_something(i));
    configure(std::string("[policy.short]\nsources = [\"home\"]\n") + keep_one);
    const auto server = clock.start([&] { return start({"serve"}); }, true);
    wait_until(*server, [&] { return clock_is_known(); });
    clock.move("+20d");
    const Operation refused = enforce(*server);
    EXPECT_NE(refused.state, OperationState::succeeded);
    EXPECT_THAT(refused.error.value_or(""), HasSubstr("leapt forward by 20.0 days"));
    EXPECT_THAT(snapshots_left(), UnorderedElementsAreArray(made));
    // Nor does it where nobody has looked at the clock before, and a backup vouches for it.
    const ProgramRun elsewhere = clock.join(
        [&] {
            options.environment["HOLDFAST_CACHE_DIRECTORY"] = scratch.file("another cache");
            made.push_back(back_up_something(7));
            return run({"retention", "enforce"});
        },
        true);
    EXPECT_NE(elsewhere.exit_code, 0);
    EXPECT_THAT(elsewhere.error, HasSubstr("leapt forward by 20.0 days"));
    EXPECT_THAT(snapshots_left(), UnorderedElementsAreArray(made));
    const Operation done = enforce(*server, R"({"trust_clock": true})");
    EXPECT_EQ(done.state, OperationState::succeeded) << done.error.value_or("");
    EXPECT_THAT(snapshots_left(), UnorderedElementsAre(made.back()));
    server->signal(SIGTERM);
    EXPECT_EQ(server->finish().exit_code, 0);
}

TEST_F(ServeClock, BackupsOfAWrongTimeLetNothingGoAndHoldNothingUp) {
    write("a", "content");
    configure("[policy.short]\nsources = [\"home\"]\n"
              "[[policy.short.backup]]\nname = \"often\"\nevery = \"1d\"\n" +
              std::string(keep_one));
    const auto server = clock.start([&] { return start({"serve"}); });
    wait_until_all_over(*server, 1);
    ASSERT_EQ(snapshots_left().size(), 1U);
    clock.move("+20d");
    wait_until(*server, [&] { return snapshots_left().size() == 2; });
    clock.move("+0");
    beside().operations.add({.kind = "backup", .source = "home", .requested_by = "anna"});
    wait_until(*server, [&] { return snapshots_left().size() == 3; });
    const std::vector<std::string> made = snapshots_left();
    const Operation blocked = enforce(*server);
    EXPECT_THAT(blocked.error.value_or("") + blocked.result.value_or(""),
                HasSubstr("nothing of 'home' may go"));
    EXPECT_THAT(snapshots_left(), UnorderedElementsAreArray(made));
    server->signal(SIGTERM);
    EXPECT_EQ(server->finish().exit_code, 0);
}

} // namespace
} // namespace holdfast::test
