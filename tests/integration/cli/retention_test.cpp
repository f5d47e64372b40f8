// What a user types to keep snapshots, and to let them go.

#include "support/holdfast_user.h"

#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace holdfast {
namespace {

using testing::HasSubstr;

class RetentionCommands : public test::HoldfastUser {
  protected:
    RetentionCommands() {
        init();
        write("file", "content");
    }
    std::string back_up(const Words& more = {}) {
        Words words{"backup", "--source", "home"};
        words.insert(words.end(), more.begin(), more.end());
        words.push_back(source());
        return json(words)["id"];
    }
    Words configured(const Words& words, const std::string& policies) {
        const std::string file = scratch.file("holdfast.toml");
        std::ofstream(file) << policies;
        Words all{"--config", file};
        all.insert(all.end(), words.begin(), words.end());
        return all;
    }
    std::vector<std::string> left() {
        std::vector<std::string> ids;
        for (const auto& snapshot : json({"snapshots"})) ids.push_back(snapshot["id"]);
        return ids;
    }
    static constexpr const char* keep_one =
        "[policy.home]\nsources = \"home\"\n[policy.home.retention]\nlast = 1\n";
};

TEST_F(RetentionCommands, ABackupOfNoKnownClassIsNotMade) {
    const std::string said = failure({"backup", "--source", "home", source(), "--class", "forensics"}, 2);
    EXPECT_THAT(said, HasSubstr("did you mean 'forensic'?"));
    EXPECT_THAT(failure({"backup", "--source", "home", source(), "--tag", "class=forensics"}, 2),
                HasSubstr("forensics"));
    EXPECT_TRUE(left().empty());
    json(configured({"backup", "--source", "home", source(), "--class", "audits"},
                    "[policy.home]\nsources = \"home\"\n[policy.home.retention.class.audits]\nlast = 1\n"));
    EXPECT_EQ(left().size(), 1u);
    // Nor is one given to a backup that there is.
    EXPECT_THAT(failure({"tag", left()[0], "class=forensics"}, 2), HasSubstr("did you mean 'forensic'?"));
    json({"tag", left()[0], "class=forensic"});
}

TEST_F(RetentionCommands, EnforceForgetsAndHoldsStay) {
    const std::string held = back_up(), plain = back_up(), by_hand = back_up({"--class", "manual"});
    const std::string short_lived = back_up({"--keep-for", "24h"}), newest = back_up();
    json({"hold", "add", held, "--reason", "case 4711", "--owner", "legal"});
    const auto holds = json({"hold", "list"});
    ASSERT_EQ(holds.size(), 1u);
    EXPECT_EQ(holds[0]["reason"], "case 4711");
    EXPECT_EQ(holds[0]["owner"], "legal");
    EXPECT_THAT(failure({"forget", held}, 2), HasSubstr("case 4711"));

    const auto dry = json(configured({"retention", "enforce", "--dry-run"}, keep_one));
    EXPECT_EQ(dry["forgotten"], 1);
    EXPECT_EQ(left().size(), 5u);
    EXPECT_EQ(json(configured({"retention", "enforce"}, keep_one))["forgotten"], 1);
    EXPECT_THAT(left(), testing::UnorderedElementsAre(held, by_hand, short_lived, newest));

    json({"hold", "release", held, "--reason", "closed"});
    EXPECT_THAT(failure({"hold", "release", held}, 1), HasSubstr("no such hold"));
    json({"tag", by_hand, "--remove", "class"});
    json({"tag", short_lived, "expires=2026-01-01T00:00:00Z"});
    EXPECT_EQ(json(configured({"retention", "enforce", "home"}, keep_one))["forgotten"], 3);
    EXPECT_THAT(left(), testing::ElementsAre(newest));
    json({"prune"});
    expect_restore_equals_source();
}

TEST_F(RetentionCommands, SimulateTellsUntilWhen) {
    const std::string first = back_up(), second = back_up();
    const std::string weekly =
        "[policy.home]\nsources = \"home\"\n[policy.home.retention]\nlast = 1\nwithin = \"2d\"\n"
        "[[policy.home.backup]]\ncron = \"@daily\"\n";
    const auto fates = json(configured({"retention", "simulate"}, weekly));
    ASSERT_EQ(fates.size(), 1u);
    EXPECT_EQ(fates[0]["policy"], "home");
    ASSERT_EQ(fates[0]["snapshots"].size(), 2u);
    for (const auto& fate : fates[0]["snapshots"]) EXPECT_TRUE(fate["goes"].is_string()) << fate;
    // Years later, and nothing new: the second is the last one there is.
    const auto later = json(
        configured({"retention", "simulate", "--at", "2040-01-01T00:00:00Z", "--horizon", "1y"}, keep_one));
    EXPECT_EQ(later[0]["snapshots"][0]["goes"], "2040-01-01T00:00:00Z");
    EXPECT_TRUE(later[0]["snapshots"][1]["goes"].is_null());
    EXPECT_EQ(left().size(), 2u);
    const auto text = run(configured({"retention", "simulate"}, weekly));
    EXPECT_THAT(text.out, HasSubstr("within 2d"));
}

TEST_F(RetentionCommands, RefusesWhatMakesNoSense) {
    const std::string snapshot = back_up();
    EXPECT_THAT(failure(configured({"retention", "enforce"}, ""), 2), HasSubstr("there is no policy in"));
    EXPECT_THAT(
        failure(configured({"retention", "enforce"}, "[policy.p]\nsources = \"*\"\nretention.dayly = 3\n"),
                2),
        HasSubstr("policy.p.retention.dayly"));
    EXPECT_THAT(failure({"tag", snapshot, "expires=soon"}, 2), HasSubstr("expires"));
    EXPECT_THAT(failure({"tag", snapshot}, 2), HasSubstr("no tag is named"));
    EXPECT_THAT(failure({"backup", "--source", "home", "--keep-for", "5m", source()}, 2),
                HasSubstr("minutes or months"));
    EXPECT_THAT(failure({"backup", "--source", "home", "--tag", "expires=soon", source()}, 2),
                HasSubstr("expires"));
    EXPECT_EQ(left().size(), 1u);
    EXPECT_EQ(json({"snapshots"})[0]["tags"].size(), 0u);
}

TEST_F(RetentionCommands, PolicyShowsRunsAndDoubts) {
    const std::string doubtful = "[source.home]\nkind = \"postgresql\"\nconnection = \"host=/tmp\"\n"
                                 "[policy.p]\nsources = \"home\"\nmaintenance = \"sun 02:30-03:00\"\n"
                                 "[[policy.p.backup]]\nwindow = \"02:00-03:00\"\njitter = \"0s\"\n"
                                 "[policy.p.retention]\nlast = 3\n";
    const auto shown =
        json(configured({"policy", "--at", "2026-11-20T12:00:00Z", "--runs", "2"}, doubtful), 3);
    ASSERT_EQ(shown.size(), 1u);
    EXPECT_EQ(shown[0]["next"][0]["runs"][0]["begin"], "2026-11-21T02:00:00Z");
    EXPECT_EQ(shown[0]["next"][0]["runs"].size(), 2u);
    EXPECT_THAT(shown[0]["doubts"][0], HasSubstr("maintenance window"));
    EXPECT_THAT(run(configured({"policy"}, doubtful)).out, HasSubstr("Doubtful: "));
    EXPECT_EQ(json(configured({"policy"}, keep_one)).size(), 1u);
}

} // namespace
} // namespace holdfast
