// The disk that has the state of the server is full, and has room again.
#include "base/error.h"
#include "integration/server/serve_api.h"

#include <csignal>
#include <fstream>

#include <gmock/gmock.h>
#include <sys/mount.h>

namespace holdfast::test {
namespace {

using Json = nlohmann::json;
using testing::HasSubstr;

constexpr std::uint64_t megabyte = 1'000'000;

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

class ServeFullDisk : public ServeApi {};

TEST_F(ServeFullDisk, ItGoesOnWhenItsFullDiskHasRoomAgain) {
    write("a", "content");
    configure("");
    const SmallDisk disk(scratch.file("state"));
    serve();
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

// Its end is known when there is room for it, and was reached once.
TEST_F(ServeFullDisk, WhatEndsMeanwhileIsNotSaidToBeDoneBeforeThatIsWritten) {
    for (unsigned i = 0; i < 3; ++i) write_random(fmt::format("{}", i), 10 * megabyte, i);
    configure("", "limit_upload = \"5M\"\n");
    const SmallDisk disk(scratch.file("state"));
    serve();
    const std::string operation = ask("POST", "/v1/backups", R"({"source":"home"})").location;
    const std::string id = operation.substr(operation.rfind('/') + 1);
    wait_until(*server, [&] { return repository_bytes() > 5 * megabyte; });
    disk.fill();
    // What is taken was written.
    std::size_t taken = 1;
    Answer answer;
    while (taken < 1000 && (answer = ask("POST", "/v1/backups", R"({"source":"home"})")).status == 202)
        ++taken;
    EXPECT_EQ(answer.status, 507) << answer.body;
    // Another configuration has no place to be kept in: the one before stays.
    configure(nightly("nothing"));
    server->signal(SIGHUP);
    said(*server, "configuration not read again");
    wait_until(*server, [&] { return objects("commits") == 1 && !is_somebody_at(id); });
    std::this_thread::sleep_for(std::chrono::seconds(2));
    EXPECT_EQ(got(operation)["state"], "running");
    EXPECT_EQ(ask("GET", "/healthz").status, 200);
    disk.make_room();
    wait_until_all_over(*server, taken);
    EXPECT_EQ(operations(*server).size(), taken);
    EXPECT_EQ(got(operation)["state"], "succeeded");
    // Its lease may have lapsed meanwhile, and be taken up again; nobody has begun it anew.
    EXPECT_EQ(got(operation)["failures"], 0);
    EXPECT_EQ(beside().operations.find(id)->losses, 0);
    expect_done_once(beside().operations);
    server->signal(SIGHUP);
    said(*server, "configuration read again");
    EXPECT_TRUE(json({"audit", "verify"})["intact"].get<bool>());
    expect_restore_equals_source();
    server->signal(SIGTERM);
    EXPECT_EQ(server->finish().exit_code, 0);
}

} // namespace
} // namespace holdfast::test
