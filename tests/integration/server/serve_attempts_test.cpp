// What comes of operations that are begun once more, or that are to end.
#include "integration/server/serve_fixture.h"

#include <csignal>
#include <filesystem>

#include <gmock/gmock.h>

namespace holdfast::test {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;
using testing::HasSubstr;

constexpr std::uint64_t megabyte = 1'000'000;

class ServeAttempts : public Serve {
  protected:
    void SetUp() override {
        configure("");
        // Whose catalog there is then.
        const auto server = start({"serve"});
        operations(*server);
        end(*server);
    }
    std::string snapshot(const std::string& content, const Words& words = {}) {
        write("a", content);
        Words all{"backup", "home"};
        all.insert(all.end(), words.begin(), words.end());
        return json(all)["id"];
    }
    static void end(RunningProgram& server) {
        server.signal(SIGTERM);
        EXPECT_EQ(server.finish().exit_code, 0);
    }
    // One that a server had begun before it was lost.
    std::string begun_before(const OperationRequest& request) {
        const std::string id = beside().operations.add(request).value();
        beside().catalog.with([&](Database& database) {
            return database.query("UPDATE operations SET attempts = 1, interruptions = 1 WHERE id = $1",
                                  {sql(id)});
        });
        return id;
    }
    std::string forget_begun_before(const std::string& snapshot) {
        return begun_before({.kind = "forget",
                             .request = Json{{"snapshot", snapshot}, {"even_the_last", false}}.dump(),
                             .requested_by = "anna"});
    }
    Operation carried_out(const std::string& id) {
        const auto server = start({"serve"});
        wait_until(*server, [&] { return is_over(beside().operations.find(id)->state); });
        end(*server);
        return beside().operations.find(id).value();
    }
    std::string commit_of(const std::string& snapshot) const {
        for (const auto& file : fs::recursive_directory_iterator(repository() + "/commits"))
            if (file.path().filename().string().find(snapshot) != std::string::npos)
                return file.path().string();
        ADD_FAILURE() << "there is no commit of " << snapshot;
        return {};
    }
    static void damage(const std::string& file) {
        fs::permissions(file, fs::perms::owner_write, fs::perm_options::add);
        fs::resize_file(file, fs::file_size(file) / 2);
    }
};

TEST_F(ServeAttempts, WhatTheRepositorySaysWasForgottenIsForgotten) {
    const std::string gone = snapshot("one");
    snapshot("two");
    json({"forget", gone});
    const Operation operation = carried_out(forget_begun_before(gone));
    EXPECT_EQ(operation.state, OperationState::succeeded) << operation.error.value_or("");
    EXPECT_EQ(Json::parse(operation.result.value())["forgotten"], Json::array({gone}));
    EXPECT_EQ(operation.attempts, 2);
}

// Because it is damaged, or lost: nobody has forgotten it.
TEST_F(ServeAttempts, ThatASnapshotIsNotListedDoesNotMeanThatItWasForgotten) {
    const std::string damaged = snapshot("one"), lost = snapshot("two");
    snapshot("three");
    damage(commit_of(damaged));
    fs::remove(commit_of(lost));
    for (const std::string& id : {damaged, lost}) {
        const Operation operation = carried_out(forget_begun_before(id));
        EXPECT_EQ(operation.state, OperationState::failed) << operation.result.value_or("");
        EXPECT_THAT(operation.error.value_or(""), HasSubstr(id));
    }
    EXPECT_EQ(objects("forgets"), 0U);
}

TEST_F(ServeAttempts, ABackupThatIsListedIsNotMadeAgainAndOneThatIsNotIsWhenThatProvesNothing) {
    const std::string damaged = snapshot("one");
    const OperationRequest backup{.kind = "backup", .source = "home", .requested_by = "anna"};
    const std::string made = begun_before(backup);
    const std::string listed = snapshot("two", {"--tag", "operation=" + made});
    damage(commit_of(damaged));
    Operation operation = carried_out(made);
    EXPECT_EQ(operation.state, OperationState::succeeded) << operation.error.value_or("");
    EXPECT_EQ(Json::parse(operation.result.value())["id"], listed);
    EXPECT_EQ(json({"snapshots"}, 3).size(), 1U);

    operation = carried_out(begun_before(backup));
    EXPECT_EQ(operation.state, OperationState::succeeded) << operation.error.value_or("");
    EXPECT_EQ(json({"snapshots"}, 3).size(), 2U);
    bool told = false;
    for (const OperationLogLine& line : beside().operations.log_after(operation.id, 0, 100))
        told = told || line.message.find("not all snapshots can be read") != std::string::npos;
    EXPECT_TRUE(told);
}

// Nothing is left to do but to wait for the bytes to flow, and they would in time.
TEST_F(ServeAttempts, ABackupThatIsCancelledWhileItsLastBytesFlowMakesNoSnapshot) {
    write_random("a", 14 * megabyte, 1);
    configure("", "limit_upload = \"1M\"\n");
    const auto server = start({"serve"});
    const std::string id =
        beside().operations.add({.kind = "backup", .source = "home", .requested_by = "anna"}).value();
    wait_until(*server, [&] { return beside().operations.find(id)->progress.phase == "committing"; });
    EXPECT_TRUE(beside().operations.cancel(id));
    wait_until(*server, [&] { return is_over(beside().operations.find(id)->state); });
    const Operation operation = beside().operations.find(id).value();
    EXPECT_EQ(operation.state, OperationState::cancelled) << operation.result.value_or("");
    EXPECT_EQ(json({"snapshots"}).size(), 0U);
    EXPECT_EQ(objects("intents"), 0U);
    end(*server);
}

} // namespace
} // namespace holdfast::test
