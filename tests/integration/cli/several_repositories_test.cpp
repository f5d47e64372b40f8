// One backup into several repositories.
#include "support/holdfast_user.h"

#include <filesystem>
#include <fstream>

#include <gmock/gmock.h>

namespace holdfast::test {
namespace {

using Json = nlohmann::json;
using testing::HasSubstr;

class SeveralRepositories : public HoldfastUser {
  protected:
    SeveralRepositories() {
        write("a.txt", "one\n");
        write("docs/b.txt", "two\n");
        settle();
        options.environment.erase("HOLDFAST_REPOSITORY");
    }
    std::string other() const { return scratch.file("other"); }
    void init_both() {
        json({"init", repository()});
        json({"init", other()});
    }
    Words into(const std::vector<std::string>& repositories, Words more = {}) const {
        Words words{"backup", "--source", "home", source()};
        for (const std::string& url : repositories) words.insert(words.end(), {"--repo", url});
        words.insert(words.end(), more.begin(), more.end());
        return words;
    }
    void expect_snapshots(const std::string& url, std::size_t count) {
        EXPECT_EQ(json({"snapshots", "--repo", url}).size(), count) << url;
    }
    void configure(const std::string& text) {
        std::ofstream(scratch.file("holdfast.toml")) << text;
        options.environment["HOLDFAST_CONFIG"] = scratch.file("holdfast.toml");
    }
};

TEST_F(SeveralRepositories, EachHasAWholeBackup) {
    init_both();
    const Json made = json(into({repository(), other()}));
    ASSERT_EQ(made["repositories"].size(), 2U);
    for (const Json& one : made["repositories"]) {
        EXPECT_EQ(one["exit_code"], 0);
        EXPECT_EQ(one["result"]["new_files"], 2);
        EXPECT_EQ(one["result"]["state"], "complete");
        EXPECT_FALSE(one.contains("error"));
    }
    for (const std::string& url : {repository(), other()}) {
        expect_snapshots(url, 1);
        options.environment["HOLDFAST_REPOSITORY"] = url;
        expect_restore_equals_source();
        options.environment.erase("HOLDFAST_REPOSITORY");
    }
    const ProgramRun text = run(into({repository(), other()}));
    EXPECT_EQ(text.exit_code, 0);
    EXPECT_THAT(text.out, AllOf(HasSubstr(repository() + "\n"), HasSubstr(other() + "\n"),
                                HasSubstr("0 new, 0 changed, 2 unchanged")));
    EXPECT_EQ(run(into({repository(), other()}, {"--quiet"})).out, "");
}

TEST_F(SeveralRepositories, OneThatFailsKeepsNoOtherFromItsBackup) {
    json({"init", other()});
    const Json made = json(into({repository(), other()}), 1);
    EXPECT_EQ(made["repositories"][0]["exit_code"], 1);
    EXPECT_EQ(made["repositories"][0]["error"]["code"], "not_found");
    EXPECT_FALSE(made["repositories"][0].contains("result"));
    EXPECT_EQ(made["repositories"][1]["exit_code"], 0);
    expect_snapshots(other(), 1);
    const ProgramRun text = run(into({repository(), other()}));
    EXPECT_EQ(text.exit_code, 1);
    EXPECT_THAT(text.error, HasSubstr(repository()));
    EXPECT_THAT(text.out, AllOf(HasSubstr(other()), HasSubstr("Snapshot")));
    // Nothing was done anywhere.
    EXPECT_EQ(
        json(into({repository(), other()}, {"--class", "no-such-class"}), 1)["repositories"][1]["exit_code"],
        2);
    json({"init", repository()});
    json(into({repository(), other()}, {"--class", "no-such-class"}), 2);
    expect_snapshots(other(), 2);
}

TEST_F(SeveralRepositories, WhatIsLeftOutIsSaidOfEach) {
    init_both();
    const Json made = json(into({repository(), other()}, {scratch.file("missing")}), 3);
    for (const Json& one : made["repositories"]) {
        EXPECT_EQ(one["exit_code"], 3);
        EXPECT_EQ(one["result"]["state"], "partial");
    }
}

TEST_F(SeveralRepositories, EachMayHaveAKeyOfItsOwnInTheConfiguration) {
    json({"init", repository()});
    options.environment["HOLDFAST_KEY_FILE"] = scratch.file("other key");
    json({"init", other()});
    options.environment.erase("HOLDFAST_KEY_FILE");
    configure("key_file = '" + scratch.file("key") + "'\n[keys.'file://" + other() + "']\nkey_file = '" +
              scratch.file("other key") + "'\n");
    json(into({repository(), other()}));
    expect_snapshots(repository(), 1);
    expect_snapshots(other(), 1);
    // What the environment says is for all.
    options.environment["HOLDFAST_KEY_FILE"] = scratch.file("key");
    const Json made = json(into({other(), repository()}), 1);
    EXPECT_EQ(made["repositories"][0]["error"]["code"], "wrong_key");
    EXPECT_EQ(made["repositories"][1]["exit_code"], 0);
}

TEST_F(SeveralRepositories, AreNamedOnceAndNotForPostgresql) {
    init_both();
    EXPECT_THAT(failure(into({repository(), repository()}), 2), HasSubstr("twice"));
    expect_snapshots(repository(), 0);
    configure("[source.orders]\nkind = 'postgresql'\nconnection = 'host=/nowhere'\n");
    EXPECT_THAT(failure({"backup", "orders", "--repo", repository(), "--repo", other()}, 2),
                AllOf(HasSubstr("one repository at a time"), HasSubstr("wal receive")));
    // Other commands are about one.
    EXPECT_NE(run({"snapshots", "--repo", repository(), "--repo", other()}).exit_code, 0);
}

} // namespace
} // namespace holdfast::test
