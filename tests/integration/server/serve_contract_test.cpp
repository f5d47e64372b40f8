// The whole server held against its contract.
#include "integration/server/serve_fixture.h"

#include <gtest/gtest.h>

namespace holdfast::test {
namespace {

TEST_F(Serve, KeepsItsContract) {
    configure("");
    const auto server = start({"serve"});
    wait_until(*server, [&] { return server->error_so_far().find(" port=") != std::string::npos; });
    const std::string log = server->error_so_far(), out = content_of(scratch.file("state/first-token"));
    const std::string port = std::to_string(std::stoi(log.substr(log.find(" port=") + 6)));
    const auto at = out.find("hf_");
    ASSERT_NE(at, std::string::npos) << out;
    const ProgramRun run = run_program({"/usr/bin/python3", HOLDFAST_CONTRACT_SCRIPT, port,
                                        out.substr(at, out.find('\n', at) - at), "7", "whole"},
                                       {});
    EXPECT_EQ(run.exit_code, 0) << run.out << run.error << server->error_so_far();
}

} // namespace
} // namespace holdfast::test
