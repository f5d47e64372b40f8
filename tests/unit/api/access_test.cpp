#include "api/access.h"
#include "api/permission.h"
#include "api/rate_limits.h"

#include <gmock/gmock.h>

namespace holdfast::api {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

TEST(RateLimits, LetABurstThroughAndThenTheRate) {
    FakeClock clock{Timestamp{}};
    RateLimits limits(clock, {.per_second = 2, .burst = 3});
    for (int i = 0; i < 3; ++i) EXPECT_EQ(limits.take("a"), std::nullopt);
    EXPECT_DOUBLE_EQ(limits.take("a").value_or(0), 0.5);
    EXPECT_EQ(limits.take("b"), std::nullopt);
    clock.advance(milliseconds(500));
    EXPECT_EQ(limits.wait_for("a"), std::nullopt);
    EXPECT_EQ(limits.take("a"), std::nullopt);
    EXPECT_TRUE(limits.take("a").has_value());
    clock.advance(seconds(3600));
    for (int i = 0; i < 3; ++i) EXPECT_EQ(limits.take("a"), std::nullopt);
    EXPECT_TRUE(limits.take("a").has_value());
}

TEST(Permission, IsAsTheTableSays) {
    EXPECT_TRUE(allows(TokenRole::viewer, Permission::read));
    EXPECT_FALSE(allows(TokenRole::viewer, Permission::back_up));
    EXPECT_TRUE(allows(TokenRole::operator_, Permission::back_up));
    EXPECT_FALSE(allows(TokenRole::operator_, Permission::restore));
    EXPECT_FALSE(allows(TokenRole::operator_, Permission::remove));
    EXPECT_TRUE(allows(TokenRole::restorer, Permission::restore));
    EXPECT_FALSE(allows(TokenRole::restorer, Permission::back_up));
    EXPECT_TRUE(allows(TokenRole::exporter, Permission::read_trail));
    EXPECT_TRUE(allows(TokenRole::exporter, Permission::list_backups));
    EXPECT_FALSE(allows(TokenRole::exporter, Permission::read));
    EXPECT_TRUE(allows(std::set<TokenRole>{TokenRole::exporter, TokenRole::viewer}, Permission::read));
    for (const Permission each : {Permission::remove, Permission::administer, Permission::configure})
        EXPECT_THAT(roles_with(each), testing::ElementsAre(TokenRole::administrator)) << to_string(each);
}

TEST(AddressGroup, IsTheNetworkOfAnIpv6Client) {
    EXPECT_EQ(address_group("192.0.2.7"), "192.0.2.7");
    EXPECT_EQ(address_group("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::/64");
    EXPECT_EQ(address_group("2001:db8:1:2:ffff::1"), "2001:db8:1:2::/64");
}

} // namespace
} // namespace holdfast::api
