// A server, and who asks it from another machine by the command line: no configuration, no repository, no
// key.
#pragma once

#include "integration/server/serve_fixture.h"

#include <memory>
#include <set>
#include <string>

#include <nlohmann/json.hpp>

namespace holdfast::test {

class CommandLineAtServer : public Serve {
  protected:
    void serve(const std::string& policies = "", const std::string& global = "") {
        std::filesystem::create_directories(scratch.file("restored"));
        configure(policies, global);
        settle_configuration();
        server_ = start({"serve"});
        listening();
        token = first_line(content_of(scratch.file("state/first-token")));
        // Another machine of the administrator: no configuration, no repository, no key.
        remote.environment = {
            {"HOME", scratch.file("elsewhere")}, {"HOLDFAST_SERVER", address}, {"HOLDFAST_TOKEN", token}};
        ready();
    }
    // The port stays, so that the server can be ended and started.
    void settle_configuration() {
        const std::string file = scratch.file("holdfast.toml");
        std::string text = content_of(file);
        text.insert(text.find("retention = "),
                    fmt::format("restore_directory = \"{}\"\n", scratch.file("restored")));
        std::ofstream(file) << text;
    }
    void listening() {
        wait_until(*server_, [&] { return server_->error_so_far().find(" port=") != std::string::npos; });
        const std::string log = server_->error_so_far();
        port = std::to_string(std::stoi(log.substr(log.find(" port=") + 6)));
        address = "https://127.0.0.1:" + port;
    }
    // The repository is looked at beside everything else.
    void ready() {
        wait_until(*server_, [&] { return at_server({"status", "--json"}).exit_code != 1; });
    }

    static std::string first_line(const std::string& text) { return text.substr(0, text.find('\n')); }
    Words with_certificate(Words words) const {
        words.insert(words.end(), {"--server-ca", scratch.file("state/server.crt")});
        return words;
    }
    ProgramRun at_server(const Words& words) const { return run(with_certificate(words), remote); }
    nlohmann::json json_at_server(const Words& words, int exit_code = 0) {
        return json(with_certificate(words), exit_code, remote);
    }
    std::string failure_at_server(const Words& words, int exit_code) {
        return failure(with_certificate(words), exit_code, remote);
    }
    // What it has in common with what is done here: all members, and no other.
    static void expect_same_members(const nlohmann::json& here, const nlohmann::json& there) {
        ASSERT_EQ(here.type(), there.type()) << here << there;
        const nlohmann::json& one = here.is_array() && !here.empty() ? here.front() : here;
        const nlohmann::json& other = there.is_array() && !there.empty() ? there.front() : there;
        if (!one.is_object()) return;
        std::set<std::string> ours, theirs;
        for (const auto& [name, value] : one.items()) ours.insert(name);
        for (const auto& [name, value] : other.items()) theirs.insert(name);
        EXPECT_EQ(ours, theirs);
    }

    RunOptions remote;
    std::unique_ptr<RunningProgram> server_;
    std::string address, port, token;
};

} // namespace holdfast::test
