// `holdfast serve` as an administrator runs it, and what its catalog says.
#pragma once

#include "catalog/catalog.h"
#include "catalog/operations.h"
#include "support/holdfast_user.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <fmt/format.h>

namespace holdfast::test {

class Serve : public HoldfastUser {
  protected:
    Serve() {
        init();
        options.environment["HOLDFAST_CONFIG"] = scratch.file("holdfast.toml");
    }

    // `global` stands before all sections, `server` in that of the server.
    void configure(const std::string& policies, const std::string& global = "",
                   const std::string& server = "") {
        std::ofstream(scratch.file("holdfast.toml")) << fmt::format(
            "{}[server]\nlisten = \"127.0.0.1:0\"\nstate_directory = \"{}\"\nretention = \"never\"\n{}"
            "[source.home]\nkind = \"documents\"\npaths = [\"{}\"]\n{}\n",
            global, scratch.file("state"), server, source(), policies);
    }
    // A source that was never backed up is backed up at once.
    static std::string nightly(const std::string& sources) {
        return fmt::format("[policy.production]\nsources = [\"{}\"]\n"
                           "[[policy.production.backup]]\nname = \"nightly\"\ncron = \"0 2 * * *\"\n"
                           "class = \"full\"\nkeep = \"30d\"\n",
                           sources);
    }

    template <typename Done>
    void wait_until(RunningProgram& server, Done&& done, int looks = 12'000) {
        for (int i = 0; i < looks; ++i) {
            if (done()) return;
            if (server.ended()) {
                FAIL() << server.finish().error;
            }
            std::this_thread::sleep_for(std::chrono::milliseconds(10));
        }
        ADD_FAILURE() << "what is waited for did not come";
    }
    // Waits until its log, from there on, says so, and returns where.
    std::size_t said(RunningProgram& server, const std::string& text, std::size_t from = 0) {
        std::size_t at = std::string::npos;
        wait_until(server, [&] {
            at = server.error_so_far().find(text, from);
            return at != std::string::npos;
        });
        return at;
    }
    // Where it listens, once it does.
    std::uint16_t port_of(RunningProgram& server, std::size_t from = 0) {
        const std::string before = " port=";
        const std::size_t at = said(server, before, from);
        if (at == std::string::npos) return 0;
        return static_cast<std::uint16_t>(std::stoi(server.error_so_far().substr(at + before.size())));
    }
    // What the first start left in its state directory.
    std::string first_token(const std::string& state) {
        std::string token = content_of(scratch.file(state + "/first-token"));
        if (!token.empty()) token.pop_back();
        return token;
    }
    // What the server writes beside us.
    struct Beside {
        explicit Beside(const std::string& state)
            : catalog("sqlite:" + state + "/catalog.db", silent_logger()) {}
        Catalog catalog;
        Operations operations{catalog, system_clock(), system_random()};
    };
    Beside& beside() {
        if (!beside_) beside_ = std::make_unique<Beside>(scratch.file("state"));
        return *beside_;
    }
    std::vector<Operation> operations(RunningProgram& server) {
        wait_until(server, [&] { return std::filesystem::exists(scratch.file("state/catalog.db")); });
        std::vector<Operation> all;
        for (const Operation& one : beside().operations.list({}))
            all.push_back(beside().operations.find(one.id).value());
        return all;
    }
    void wait_until_all_over(RunningProgram& server, std::size_t count) {
        wait_until(server, [&] {
            const auto all = operations(server);
            return all.size() >= count &&
                   std::ranges::all_of(all, [](const Operation& one) { return is_over(one.state); });
        });
    }

    // What the catalog calls over is done, and the repository has of each once what was begun, and nothing
    // else.
    void expect_done_once(Operations& operations) {
        std::map<std::string, std::string> made; // snapshots by operation
        const nlohmann::json snapshots = json({"snapshots"});
        for (const auto& snapshot : snapshots) {
            const std::string operation = snapshot["tags"].value("operation", "");
            EXPECT_TRUE(made.emplace(operation, snapshot["id"]).second) << "done twice: " << snapshot;
        }
        for (const Operation& one : operations.list({.kind = "backup", .limit = 10'000})) {
            const auto snapshot = made.extract(one.id);
            if (!is_over(one.state)) {
                EXPECT_TRUE(snapshot.empty() || one.attempts > 0) << "done before it was begun";
                continue;
            }
            const Operation operation = operations.find(one.id).value();
            EXPECT_EQ(operation.state, OperationState::succeeded) << operation.error.value_or("");
            ASSERT_FALSE(snapshot.empty()) << "said to be done: " << one.id;
            EXPECT_EQ(nlohmann::json::parse(operation.result.value())["id"], snapshot.mapped());
        }
        EXPECT_TRUE(made.empty()) << "nobody asked for " << made.begin()->first;
    }

    // Whether a program carries the backup of this id out.
    static bool is_somebody_at(const std::string& id) {
        for (const auto& process : std::filesystem::directory_iterator("/proc")) {
            std::ifstream file(process.path() / "cmdline");
            const std::string words((std::istreambuf_iterator<char>(file)), {});
            if (words.find("operation=" + id) != std::string::npos) return true;
        }
        return false;
    }

    std::unique_ptr<Beside> beside_;
};

} // namespace holdfast::test
