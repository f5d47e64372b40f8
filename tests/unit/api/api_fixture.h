// The whole API over an empty catalog, asked without sockets.
#pragma once

#include "api/api_server.h"
#include "api/http/target.h"
#include "crypto/one_time_code.h"
#include "support/scratch_directory.h"

#include <memory>
#include <mutex>
#include <string>
#include <utility>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace holdfast::test {

class ApiTest : public testing::Test {
  protected:
    void SetUp() override { make({}); }

    void make(std::map<std::string, api::Protection> protection, api::AccessSettings access = {}) {
        server = std::make_unique<api::ApiServer>(
            api::ApiSettings{.state_directory = scratch.file("state"),
                             .access = access,
                             .protection = std::move(protection)},
            api::ApiParts{.catalog = catalog,
                          .clock = clock,
                          .random = random,
                          .logger = silent_logger(),
                          .prepare = [this](const api::OperationAsked& what) { return prepared(what); }});
        if (auto issued = server->first_token()) first = std::move(*issued);
    }

    // Knows the source "db" and nothing of disasters.
    OperationRequest prepared(const api::OperationAsked& what) {
        const std::scoped_lock lock(mutex);
        ++prepares;
        asked = what;
        if (what.kind == "failover" || what.kind == "drill")
            throw Error(ErrorCode::unsupported, "this server cannot do that yet");
        Form form = Form::parse(what.body, "");
        const auto source = form.text("source");
        if (source && *source != "db") form.fail("source", "is not known");
        const auto named = form.text("class");
        form.expect_no_more();
        OperationRequest request;
        request.kind = what.kind;
        request.source = source;
        if (named) request.request = nlohmann::json{{"class", *named}}.dump();
        return request;
    }

    api::Request request(const std::string& method, const std::string& target, const std::string& body = {}) {
        auto parsed = api::parse_target(target);
        EXPECT_TRUE(parsed) << target;
        api::Request made{.method = method,
                          .path = parsed->path,
                          .segments = parsed->segments,
                          .query = parsed->query,
                          .headers = {},
                          .body = body,
                          .peer = "192.0.2.1"};
        made.headers.add("Host", "localhost");
        if (!body.empty()) made.headers.add("Content-Type", "application/json");
        return made;
    }
    // With the first administrator's token, or another.
    api::Response ask(const std::string& method, const std::string& target, const std::string& body = {},
                      const std::vector<std::pair<std::string, std::string>>& headers = {},
                      std::string secret = {}) {
        if (secret.empty()) secret = first.secret;
        api::Request made = request(method, target, body);
        made.headers.add("Authorization", "Bearer " + secret);
        for (const auto& [name, value] : headers) made.headers.add(name, value);
        return server->router().answer(made);
    }
    static nlohmann::json json_of(const api::Response& response) {
        return nlohmann::json::parse(response.body);
    }
    // The secret of a new token.
    std::string token(const std::string& name, const std::string& role) {
        const api::Response response =
            ask("POST", "/v1/tokens", nlohmann::json{{"name", name}, {"roles", {role}}}.dump());
        EXPECT_EQ(response.status, 201) << response.body;
        return json_of(response)["token"].get<std::string>();
    }
    // What the authenticator of an "otpauth://" address shows now.
    std::string code(const std::string& address) {
        const std::string text = address.substr(address.find("secret=") + 7, 32);
        std::string bits;
        for (const char letter : text) {
            const auto value = std::string("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567").find(letter);
            for (int bit = 4; bit >= 0; --bit) bits += ((value >> bit) & 1) != 0 ? '1' : '0';
        }
        Bytes seed;
        for (std::size_t i = 0; i + 8 <= bits.size(); i += 8)
            seed.push_back(static_cast<Byte>(std::stoi(bits.substr(i, 8), nullptr, 2)));
        return one_time_code(seed, one_time_step(clock.now()));
    }

    ScratchDirectory scratch;
    Catalog catalog{"sqlite:" + scratch.file("catalog.db"), silent_logger()};
    FakeClock clock{from_rfc3339("2026-11-20T12:00:00Z")};
    SeededRandom random{4711};
    std::unique_ptr<api::ApiServer> server;
    IssuedToken first;
    std::mutex mutex; // of what follows
    int prepares = 0;
    api::OperationAsked asked;
};

} // namespace holdfast::test
