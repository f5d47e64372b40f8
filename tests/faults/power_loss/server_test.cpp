// The server's own state, and a power cut: what somebody was told is there.
#include "faults/power_loss/power_loss.h"
#include "integration/server/command_line_at_server.h"

#include <csignal>

#include <gmock/gmock.h>

namespace holdfast::test {
namespace {

using testing::AllOf;
using testing::HasSubstr;

class PowerCutOfServer : public CommandLineAtServer, public testing::WithParamInterface<Survives> {
  protected:
    void serve_counted() {
        options.environment.merge(power.environment());
        serve();
        for (const auto& [name, value] : power.environment()) options.environment.erase(name);
    }
    static std::string made(const std::string& directory) {
        std::filesystem::create_directory(directory);
        return directory;
    }
    PowerLoss power{made(scratch.file("state")), scratch.file("notes")};
};
INSTANTIATE_TEST_SUITE_P(Leaves, PowerCutOfServer,
                         testing::Values(Survives::synced_only, Survives::names_as_at_end),
                         [](const auto& each) {
                             return each.param == Survives::synced_only ? "WhatWasSynced" : "AllNames";
                         });

TEST_P(PowerCutOfServer, WhatItAcceptedIsDoneAndWhoItLetInIsLetIn) {
    write_random("a", 20'000'000, 1);
    serve_counted();
    for (const std::string name : {"one", "two"}) {
        const ProgramRun made = at_server({"tokens", "create", name, "--role", "viewer", "--expires", "1d"});
        ASSERT_EQ(made.exit_code, 0) << made.error;
        const ProgramRun asked = at_server({"backup", "home", "--detach"});
        ASSERT_EQ(asked.exit_code, 0) << asked.error;
        const std::string backup = first_line(asked.out);
        server_->signal(SIGKILL);
        server_->finish();
        for (int i = 0; i < 3000 && is_somebody_at(backup); ++i)
            std::this_thread::sleep_for(std::chrono::milliseconds(10));
        ASSERT_FALSE(is_somebody_at(backup));
        power.fail(GetParam());

        serve_counted(); // with the first token, and the certificate that was known before
        RunOptions reader = remote;
        reader.environment["HOLDFAST_TOKEN"] = first_line(made.out);
        EXPECT_EQ(json(with_certificate({"operations", "show", backup}), 0, reader)["id"], backup);
        wait_until(*server_,
                   [&] { return json_at_server({"operations", "show", backup})["state"] == "succeeded"; });
        EXPECT_EQ(json_at_server({"audit", "verify"})["intact"], true);
        EXPECT_THAT(at_server({"audit", "export"}).out, AllOf(HasSubstr("token.create"), HasSubstr(name)));
    }
    server_->signal(SIGTERM);
    EXPECT_EQ(server_->finish().exit_code, 0);
}

} // namespace
} // namespace holdfast::test
