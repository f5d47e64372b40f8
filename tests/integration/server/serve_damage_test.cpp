// The file of the catalog is damaged, while the server is stopped and while it runs.
#include "integration/server/serve_api.h"

#include <csignal>
#include <fstream>

#include <gmock/gmock.h>

namespace holdfast::test {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;
using testing::HasSubstr;
using testing::UnorderedElementsAre;

constexpr std::streamoff page_size = 4096;

class ServeDamage : public ServeApi, public testing::WithParamInterface<std::string> {
  protected:
    std::string file() const { return scratch.file("state/catalog.db"); }
    // All of it is in the one file then.
    void write_log_back() {
        for (std::int64_t busy = 1; busy != 0;) {
            busy = beside().catalog.with([](Database& database) {
                return database.query("PRAGMA wal_checkpoint(TRUNCATE)").front().number(0);
            });
        }
    }
    // Where the first page of a table begins.
    std::streamoff begin_of(const std::string& table) {
        return beside().catalog.with([&](Database& database) {
            const auto rows =
                database.query("SELECT rootpage FROM sqlite_master WHERE name = $1", {sql(table)});
            return (single_number(rows) - 1) * page_size;
        });
    }
    // As the parameter says: cuts all off but the first page, overwrites everything, or the one page.
    void damage(const std::string& table) {
        write_log_back();
        const std::streamoff begin = begin_of(table);
        beside_.reset();
        const auto size = static_cast<std::streamoff>(fs::file_size(file()));
        if (GetParam() == "truncated") {
            fs::resize_file(file(), page_size);
            return;
        }
        const bool all = GetParam() == "rubbish";
        std::fstream disk(file(), std::ios::binary | std::ios::in | std::ios::out);
        disk.seekp(all ? 0 : begin);
        for (std::streamoff left = all ? size : page_size; left > 0; --left) disk.put('\x5A');
    }
    std::vector<std::string> kept() const {
        std::vector<std::string> names;
        for (const auto& entry : fs::directory_iterator(scratch.file("state"))) {
            const std::string name = entry.path().string();
            if (name.find(".damaged-") != std::string::npos && name.ends_with('Z')) names.push_back(name);
        }
        return names;
    }
    // It begins anew by itself.
    void know_server_behind_damage() {
        const std::size_t at = said(*server, "the catalog is damaged");
        EXPECT_THAT(server->error_so_far().substr(at), HasSubstr(scratch.file("state/catalog.db.damaged-")));
        know_server(at);
        ASSERT_EQ(kept().size(), 1U);
    }
    std::vector<std::string> left() {
        std::vector<std::string> ids;
        for (const Json& snapshot : json({"snapshots"})) ids.push_back(snapshot["id"]);
        return ids;
    }
};

INSTANTIATE_TEST_SUITE_P(Kinds, ServeDamage, testing::Values("page", "truncated", "rubbish"),
                         [](const auto& kind) { return kind.param; });

TEST_P(ServeDamage, ANewOneIsMadeTheOldOneKeptAndNothingHeldIsForgotten) {
    configure("");
    std::vector<std::string> made;
    for (int i = 0; i < 4; ++i) {
        write("a", "content " + std::to_string(i));
        made.push_back(json({"backup", "home"})["id"]);
    }
    json({"hold", "add", made[1], "--reason", "case 4711", "--owner", "legal"});
    serve();
    const std::string body =
        Json{{"name", "mine"}, {"sources", {"home"}}, {"retention", {{"last", 1}}}}.dump();
    ASSERT_EQ(ask("POST", "/v1/policies", body).status, 201);
    wait_until(*server, [&] { return json({"audit", "verify"})["heads_compared"] > 0; });
    server->signal(SIGTERM);
    ASSERT_EQ(server->finish().exit_code, 0);

    damage("policies"); // which are read when it begins
    server = start({"serve"});
    know_server_behind_damage();
    // Nothing is known but what the repository tells.
    wait_until(*server, [&] { return ask("GET", "/v1/policies/mine").status == 200; });
    done("/v1/retention/runs", "{}");
    EXPECT_THAT(left(), UnorderedElementsAre(made[1], made[3]));
    // The trail that was lost is missed.
    EXPECT_EQ(json({"audit", "verify"}, 3)["other_trails"].size(), 1U);
}

TEST_P(ServeDamage, FoundWhileItRunsItBeginsAnew) {
    write("a", "content");
    configure(nightly("home"));
    serve();
    wait_until_all_over(*server, 1);
    const std::string before = token;
    damage("operations");
    // Until somebody looks where it is damaged.
    wait_until(*server, [&] {
        run_program({"/usr/bin/curl", "--silent", "--insecure", "--max-time", "5", "--request", "POST",
                     "--data", R"({"source":"home"})", "--header", "Content-Type: application/json",
                     "--header", "Authorization: Bearer " + token, address + "/v1/backups"},
                    {});
        return !kept().empty();
    });
    know_server_behind_damage();
    EXPECT_NE(token, before);
    // It has the backups that there are, and makes none beside them by itself.
    const std::size_t made = left().size();
    EXPECT_TRUE(got("/v1/operations")["items"].empty());
    done("/v1/backups", R"({"source":"home"})");
    EXPECT_EQ(left().size(), made + 1);
    server->signal(SIGTERM);
    EXPECT_EQ(server->finish().exit_code, 0);
}

} // namespace
} // namespace holdfast::test
