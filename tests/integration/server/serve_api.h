// `holdfast serve`, and who asks it over its real socket: with curl, as an operator's script would.
#pragma once

#include "integration/server/serve_fixture.h"

#include <memory>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

namespace holdfast::test {

struct Answer {
    int status = 0;
    nlohmann::json body;
    std::string location, etag;
};

class ServeApi : public Serve {
  protected:
    void serve() {
        server = start({"serve"});
        know_server();
    }
    // Where it listens, by its log from there on, and the token that it shows.
    void know_server(std::size_t from = 0) {
        port = port_of(*server, from);
        address = fmt::format("https://127.0.0.1:{}", port);
        if (const std::string first = first_token("state"); !first.empty()) {
            token = first;
            std::filesystem::remove(scratch.file("state/first-token"));
        }
        // The repository is looked at beside everything else.
        wait_until(*server, [&] { return ask("GET", "/readyz").status == 200; });
    }

    Answer ask(const std::string& method, const std::string& path, const std::string& body = {},
               const std::vector<std::string>& headers = {}) {
        std::vector<std::string> words{"/usr/bin/curl",
                                       "--silent",
                                       "--insecure",
                                       "--request",
                                       method,
                                       "--write-out",
                                       "\n%{http_code} %header{location} %header{etag}"};
        if (!token.empty()) words.insert(words.end(), {"--header", "Authorization: Bearer " + token});
        if (!body.empty())
            words.insert(words.end(), {"--header", "Content-Type: application/json", "--data-binary", body});
        for (const std::string& header : headers) words.insert(words.end(), {"--header", header});
        words.push_back(address + path);
        const ProgramRun run = run_program(words, {});
        const auto end = run.out.rfind('\n');
        EXPECT_EQ(run.exit_code, 0) << run.error;
        Answer answer;
        if (end == std::string::npos) return answer;
        answer.status = std::stoi(run.out.substr(end + 1));
        const auto location = run.out.find(' ', end + 1) + 1, etag = run.out.find(' ', location) + 1;
        answer.location = run.out.substr(location, etag - location - 1);
        answer.etag = run.out.substr(etag);
        answer.body = nlohmann::json::parse(run.out.substr(0, end), nullptr, false);
        return answer;
    }
    nlohmann::json got(const std::string& path) {
        const Answer answer = ask("GET", path);
        EXPECT_EQ(answer.status, 200) << path << " " << answer.body;
        return answer.body;
    }
    // Has work begun, and waits for its end.
    nlohmann::json done(const std::string& path, const std::string& body,
                        const std::string& state = "succeeded") {
        const Answer asked = ask("POST", path, body);
        EXPECT_EQ(asked.status, 202) << path << " " << asked.body;
        if (asked.status != 202) return {};
        nlohmann::json operation;
        wait_until(*server, [&] {
            operation = got(asked.location);
            return operation["state"] != "queued" && operation["state"] != "running";
        });
        EXPECT_EQ(operation["state"], state) << operation;
        return operation;
    }
    // As if the server was lost when it had done what this approves of, and not yet said so; the next one
    // comes to it. Returns what that says.
    nlohmann::json carried_out_again(const std::string& approval) {
        server->signal(SIGKILL);
        server->finish();
        beside().catalog.with([&](Database& database) {
            return database.query("UPDATE approvals SET answer = NULL, carried_until = $2 WHERE id = $1",
                                  {sql(approval), sql(system_clock().now())});
        });
        const std::string administrator = token;
        serve();
        token = administrator;
        const std::string path = "/v1/approvals/" + approval;
        wait_until(*server, [&] { return !got(path)["answer"].is_null(); });
        return got(path)["answer"];
    }
    std::string field_at_fault(const std::string& path, const std::string& body) {
        const Answer answer = ask("POST", path, body);
        EXPECT_EQ(answer.status, 400) << path << " " << answer.body;
        return answer.status == 400 ? answer.body["errors"][0]["field"].get<std::string>() : "";
    }

    std::unique_ptr<RunningProgram> server;
    std::uint16_t port = 0;
    std::string address, token;
};

} // namespace holdfast::test
