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

TEST(AlertConfigurationTest, ChecklistsAreRead) {
    const Configuration configuration = parse_configuration(R"(
[checklist.daily]
off = true
[checklist.reviews]
every = "quarter"
time_zone = "Europe/Berlin"
[[checklist.reviews.item]]
name = "objectives"
text = "Still right"
[[checklist.reviews.item]]
name = "verified"
text = "Verified"
check = "verification"
)",
                                                            "holdfast.toml");
    ASSERT_EQ(configuration.checklists.size(), 2U);
    EXPECT_FALSE(configuration.checklists.at("daily"));
    const Checklist reviews = configuration.checklists.at("reviews").value();
    EXPECT_EQ(reviews.every, ChecklistRhythm::quarter);
    EXPECT_EQ(reviews.zone.name(), "Europe/Berlin");
    ASSERT_EQ(reviews.items.size(), 2U);
    EXPECT_EQ(reviews.items[1].check, ChecklistCheck::verification);
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
    EXPECT_EQ(field_of("[checklist.daily]\n[[checklist.daily.item]]\nname = \"a\"\n"),
              "checklist.daily.item[0].text");
    EXPECT_EQ(field_of("[channel.team]\ntype = \"slack\"\n"), "channel.team.url_file");
}

} // namespace
} // namespace holdfast
