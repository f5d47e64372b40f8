// The file of the catalog is deleted.
#include "integration/server/serve_fixture.h"

#include <csignal>

#include <gmock/gmock.h>

namespace holdfast::test {
namespace {

using Json = nlohmann::json;
using testing::HasSubstr;
using testing::UnorderedElementsAre;

constexpr std::uint64_t megabyte = 1'000'000;
constexpr const char* keep_one = "[policy.short]\nsources = [\"home\"]\n[policy.short.retention]\nlast = 1\n";

class ServeBadDays : public Serve {
  protected:
    // The ids of so many snapshots, oldest first.
    std::vector<std::string> snapshots(unsigned count) {
        std::vector<std::string> ids;
        for (unsigned i = 0; i < count; ++i) {
            write_random("a", megabyte, i);
            settle();
            ids.push_back(json({"backup", "home"})["id"]);
        }
        return ids;
    }
    std::vector<std::string> snapshots_left() {
        std::vector<std::string> ids;
        for (const Json& snapshot : json({"snapshots"})) ids.push_back(snapshot["id"]);
        return ids;
    }
    void delete_catalog() {
        beside_.reset();
        for (const char* file : {"catalog.db", "catalog.db-wal", "catalog.db-shm"})
            std::filesystem::remove(scratch.file("state/") + file);
    }
    std::vector<std::pair<std::string, std::string>> deletions(Catalog& catalog) {
        std::vector<std::pair<std::string, std::string>> entries;
        for (const SqlRow& row : catalog.with([](Database& database) {
                 return database.query(
                     "SELECT object, actor FROM audit WHERE action = 'snapshot.forget' ORDER BY number");
             }))
            entries.emplace_back(row.text(0), row.text(1));
        return entries;
    }
};

TEST_F(ServeBadDays, ADeletedCatalogTakesNothingAlongThatMatters) {
    configure("");
    const std::vector<std::string> made = snapshots(5);
    json({"hold", "add", made[0], "--reason", "the auditors want it", "--owner", "anna"});
    json({"tag", made[1], "class=forensic"});
    json({"forget", made[2]});
    configure(keep_one);
    {
        const auto server = start({"serve"});
        said(*server, "deletions were entered");
        server->signal(SIGTERM);
        EXPECT_EQ(server->finish().exit_code, 0);
    }
    delete_catalog();
    const auto server = start({"serve"});
    said(*server, "deletions were entered");
    beside().operations.add({.kind = "retention", .requested_by = "anna"});
    wait_until_all_over(*server, 1);
    for (const Operation& one : operations(*server))
        EXPECT_EQ(one.state, OperationState::succeeded) << one.kind << one.error.value_or("");
    // Held; made for a reason; and the newest.
    EXPECT_THAT(snapshots_left(), UnorderedElementsAre(made[0], made[1], made[4]));
    const auto entered = deletions(beside().catalog);
    ASSERT_EQ(entered.size(), 2U);
    EXPECT_EQ(entered[0].first, made[2]);
    EXPECT_THAT(entered[0].second, HasSubstr("key "));
    EXPECT_EQ(entered[1], std::pair(made[3], std::string("anna")));
}

TEST_F(ServeBadDays, ItEndsWhenItsCatalogIsTakenAway) {
    write("a", "content");
    configure(nightly("home"));
    {
        const auto server = start({"serve"});
        wait_until_all_over(*server, 1);
        delete_catalog();
        const ProgramRun run = server->finish();
        EXPECT_EQ(run.exit_code, 1);
        EXPECT_THAT(run.error, HasSubstr("the catalog was taken away while the server used it"));
    }
    const auto again = start({"serve"});
    wait_until(*again, [&] { return std::filesystem::exists(scratch.file("state/first-token")); });
    // It has the backup that the old one made, and makes none beside it.
    EXPECT_EQ(json({"snapshots"}).size(), 1U);
    again->signal(SIGTERM);
    EXPECT_EQ(again->finish().exit_code, 0);
}

} // namespace
} // namespace holdfast::test
