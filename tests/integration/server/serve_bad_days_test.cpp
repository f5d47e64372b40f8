// What happens to the server's own things: its catalog is deleted, out of reach, or on a full disk.
#include "integration/server/serve_fixture.h"
#include "support/postgres_server.h"

#include <csignal>
#include <fstream>
#include <map>
#include <sstream>
#include <thread>

#include <gmock/gmock.h>
#include <sys/mount.h>

namespace holdfast::test {
namespace {

using Json = nlohmann::json;
using testing::Contains;
using testing::HasSubstr;
using testing::Key;
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
    void said(RunningProgram& server, const std::string& text) {
        wait_until(server, [&] { return server.error_so_far().find(text) != std::string::npos; });
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

// The lines of a log without their times, and how often each is there.
std::map<std::string, int> counted_lines(const std::string& log) {
    std::map<std::string, int> lines;
    std::istringstream text(log);
    for (std::string line; std::getline(text, line);) ++lines[line.substr(line.find(' ') + 1)];
    return lines;
}

// Longer than a lease: what was under way is nobody's then, and goes on when the catalog is back.
TEST_F(ServeBadDays, ItWaitsForACatalogThatIsOutOfReach) {
    for (unsigned i = 0; i < 20; ++i) write_random(fmt::format("{}", i), 10 * megabyte, i);
    PostgresServer postgres;
    postgres.execute("CREATE DATABASE catalog");
    const std::string url = "postgresql://postgres@/catalog?host=" + postgres.socket_directory();
    configure(nightly("home"), "limit_upload = \"4M\"\n", fmt::format("catalog = \"{}\"\n", url));
    const auto server = start({"serve"});
    wait_until(*server, [&] { return repository_bytes() > 5 * megabyte; });
    postgres.stop(PostgresStop::kill);
    said(*server, "catalog fails");
    std::this_thread::sleep_for(std::chrono::seconds(45));
    EXPECT_FALSE(server->ended());
    // Which is no news every few seconds.
    const std::map<std::string, int> lines = counted_lines(server->error_so_far());
    EXPECT_THAT(lines, Contains(Key(HasSubstr("notices wait"))));
    for (const auto& [line, times] : lines) {
        const bool lasts =
            line.find("notices wait") != std::string::npos || line.find("approved") != std::string::npos;
        EXPECT_TRUE(!lasts || times == 1) << line;
    }
    postgres.start();
    Catalog catalog(url, silent_logger());
    Operations operations(catalog, system_clock(), system_random());
    wait_until(*server, [&] {
        const auto all = operations.list({});
        return !all.empty() && is_over(all.front().state);
    });
    const auto all = operations.list({});
    ASSERT_EQ(all.size(), 1U);
    EXPECT_EQ(all.front().state, OperationState::succeeded) << all.front().error.value_or("");
    EXPECT_EQ(json({"snapshots"}).size(), 1U);
    expect_restore_equals_source();
    server->signal(SIGTERM);
    EXPECT_EQ(server->finish().exit_code, 0);
}

// A small file system of its own for the state of the server.
class SmallDisk {
  public:
    explicit SmallDisk(std::string place) : place_(std::move(place)) {
        std::filesystem::create_directory(place_);
        if (::mount("tmpfs", place_.c_str(), "tmpfs", 0, "size=4m") != 0)
            throw std::runtime_error("mounting a small disk: these tests need root");
    }
    ~SmallDisk() { ::umount2(place_.c_str(), MNT_DETACH); }
    SmallDisk(const SmallDisk&) = delete;
    SmallDisk& operator=(const SmallDisk&) = delete;

    void fill() const {
        std::ofstream file(place_ + "/filling");
        const std::string piece(4096, 'x');
        while (file << piece << std::flush) {
        }
    }
    void make_room() const { std::filesystem::remove(place_ + "/filling"); }

  private:
    std::string place_;
};

TEST_F(ServeBadDays, ItGoesOnWhenItsFullDiskHasRoomAgain) {
    write("a", "content");
    configure("");
    const SmallDisk disk(scratch.file("state"));
    const auto server = start({"serve"});
    operations(*server);
    beside().operations.add({.kind = "backup", .source = "home", .requested_by = "anna"});
    wait_until_all_over(*server, 1);
    disk.fill();
    // Nobody is told that work was taken which is written nowhere.
    const auto ask = [&] {
        beside().operations.add({.kind = "backup", .source = "home", .requested_by = "anna"});
    };
    bool refused = false;
    for (int i = 0; i < 1000 && !refused; ++i) {
        try {
            ask();
        } catch (const Error& error) {
            refused = error.code() == ErrorCode::no_space;
            EXPECT_TRUE(refused) << error.message();
        }
    }
    EXPECT_TRUE(refused);
    EXPECT_FALSE(server->ended());
    disk.make_room();
    wait_until(*server, [&] {
        const auto all = beside().operations.list({.limit = 1000});
        return std::ranges::all_of(all, [](const Operation& one) { return is_over(one.state); });
    });
    ask();
    wait_until(*server, [&] { return is_over(beside().operations.list({.limit = 1}).front().state); });
    const auto all = beside().operations.list({.limit = 1000});
    EXPECT_EQ(all.front().state, OperationState::succeeded) << all.front().error.value_or("");
    server->signal(SIGTERM);
    EXPECT_EQ(server->finish().exit_code, 0);
}

} // namespace
} // namespace holdfast::test
