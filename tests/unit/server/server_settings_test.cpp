// What [server] may say, and what it means.
#include "base/error.h"
#include "server/server_settings.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace holdfast {
namespace {

// The field that is at fault; "" when none is.
std::string fault_in(std::string_view json) {
    try {
        parse_server_settings(json, "/var/lib/holdfast");
    } catch (const Error& error) {
        EXPECT_EQ(error.code(), ErrorCode::usage);
        return error.field();
    }
    return "";
}

TEST(ServerSettings, HoldWithoutAnyWord) {
    ServerSettings usual;
    usual.state_directory = "/var/lib/holdfast";
    EXPECT_EQ(parse_server_settings("{}", "/var/lib/holdfast"), usual);
    EXPECT_EQ(usual.catalog_url(), "sqlite:/var/lib/holdfast/catalog.db");
}

TEST(ServerSettings, AreReadAsTheyStand) {
    const ServerSettings settings = parse_server_settings(
        R"({"listen": "[::1]:1", "state_directory": "/srv/state", "catalog": "postgresql://h@db/holdfast",
            "restore_directory": "/srv/restores", "retention": "never", "at_once": 5, "gap_patience": "90s",
            "certificate": "/c", "key": "/k", "names": ["a"], "protection": {"backups.delete": "code"}})",
        "/var/lib/holdfast");
    EXPECT_EQ(settings.listen, "[::1]:1");
    EXPECT_EQ(settings.state_directory, "/srv/state");
    EXPECT_EQ(settings.catalog_url(), "postgresql://h@db/holdfast");
    EXPECT_EQ(settings.restore_directory, "/srv/restores");
    EXPECT_EQ(settings.retention, "never");
    EXPECT_EQ(settings.at_once, 5U);
    EXPECT_EQ(settings.gap_patience, std::chrono::seconds(90));
    EXPECT_EQ(settings.certificate + settings.key, "/c/k");
    EXPECT_THAT(settings.names, testing::ElementsAre("a"));
    EXPECT_THAT(settings.protection, testing::ElementsAre(testing::Pair("backups.delete", "code")));
}

TEST(ServerSettings, NameWhatIsWrong) {
    EXPECT_EQ(fault_in(R"({"state_directory": "state"})"), "server.state_directory");
    EXPECT_EQ(fault_in(R"({"catalog": "mysql://x"})"), "server.catalog");
    EXPECT_EQ(fault_in(R"({"restore_directory": "x"})"), "server.restore_directory");
    EXPECT_EQ(fault_in(R"({"retention": "nightly"})"), "server.retention");
    EXPECT_EQ(fault_in(R"({"at_once": 0})"), "server.at_once");
    EXPECT_EQ(fault_in(R"({"gap_patience": "3m"})"), "server.gap_patience");
    EXPECT_EQ(fault_in(R"({"certificate": "/c"})"), "server.key");
    EXPECT_EQ(fault_in(R"({"protection": {"backups.read": "code"}})"), "server.protection");
    EXPECT_EQ(fault_in(R"({"protection": {"backups.delete": "prayer"}})"), "server.protection");
    EXPECT_EQ(fault_in(R"({"port": 1})"), "server.port");
}

} // namespace
} // namespace holdfast
