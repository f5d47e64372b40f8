#include "base/error.h"
#include "cli/configuration.h"

#include <gtest/gtest.h>

namespace holdfast {
namespace {

TEST(AlertConfigurationTest, RulesAndChannelsAreRead) {
    const Configuration configuration = parse_configuration(R"(
[alert.backup_old]
age = "8h"
[channel.team]
type = "slack"
url_env = "SLACK"
step = 2
)",
                                                            "holdfast.toml");
    EXPECT_EQ(RuleBook(configuration.alerts).threshold(*find_rule("backup_old"), "age"), 8 * 3600);
    const auto channels = configuration.channels;
    ASSERT_EQ(channels.size(), 1u);
    EXPECT_EQ(channels[0].name, "team");
    EXPECT_EQ(channels[0].route.step, 2);
}

std::string field_of(const char* text) {
    try {
        parse_configuration(text, "holdfast.toml");
    } catch (const Error& error) {
        return error.field();
    }
    return "nothing";
}

TEST(AlertConfigurationTest, MistakesAreFoundWhenTheFileIsRead) {
    EXPECT_EQ(field_of("[alert.backup_odl]\nage = \"8h\"\n"), "alert.backup_odl");
    EXPECT_EQ(field_of("[alert.backup_old]\nage = 8\n"), "alert.backup_old.age");
    EXPECT_EQ(field_of("[channel.team]\ntype = \"slack\"\n"), "channel.team.url_file");
}

} // namespace
} // namespace holdfast
