#include "base/error.h"
#include "cli/duration_option.h"
#include "cli/source_section.h"
#include "support/temporary_directory.h"

#include <filesystem>
#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace holdfast {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

class SourceSection : public testing::Test {
  protected:
    void write(const std::string& text) const { std::ofstream(file) << text; }
    std::string read() const {
        std::ifstream in(file);
        return {std::istreambuf_iterator<char>(in), {}};
    }
    static SourceConfiguration source(const std::string& name) {
        SourceConfiguration made;
        made.name = name;
        made.kind = "postgresql";
        made.connection = "host='/it\\'s here' user=\"x\"";
        made.data_directory = "/srv/back";
        made.slot = "holdfast";
        made.compression_level = 3;
        made.tags = {{"environment", "production"}, {"a b", "it's \"so\""}};
        return made;
    }

    const test::TemporaryDirectory directory;
    const std::string file = directory / "holdfast.toml";
};

TEST_F(SourceSection, IsReadBackAsItWasMeant) {
    write("repository = \"/srv/repository\" # ours");
    fs::permissions(file, fs::perms::owner_read | fs::perms::owner_write | fs::perms::group_read);
    for (const char* name : {"again", "with space", "quote\"d", "a.b"}) append_source(file, source(name));
    const Configuration configuration = load_configuration(file);
    EXPECT_EQ(configuration.repository, "/srv/repository");
    for (const char* name : {"again", "with space", "quote\"d", "a.b"}) {
        ASSERT_TRUE(configuration.sources.contains(name)) << name;
        const SourceConfiguration& read_back = configuration.sources.at(name);
        EXPECT_EQ(read_back.connection, source(name).connection);
        EXPECT_EQ(read_back.data_directory, "/srv/back");
        EXPECT_EQ(read_back.slot, "holdfast");
        EXPECT_EQ(read_back.compression_level, 3U);
        EXPECT_EQ(read_back.tags, source(name).tags);
    }
    EXPECT_THAT(read(), HasSubstr("# ours\n"));
    EXPECT_EQ(fs::status(file).permissions(),
              fs::perms::owner_read | fs::perms::owner_write | fs::perms::group_read);
}

TEST_F(SourceSection, AnotherOfTheNameIsRefusedAndTheFileStays) {
    write("[source.orders]\nkind = \"postgresql\"\n");
    const std::string before = read();
    try {
        append_source(file, source("orders"));
        FAIL() << "it was added";
    } catch (const Error& error) {
        EXPECT_EQ(error.code(), ErrorCode::already_exists);
    }
    EXPECT_EQ(read(), before);
}

TEST_F(SourceSection, WhatWouldNotBeReadIsNotWritten) {
    // No table can follow one that is written inline.
    write("source = { orders = { kind = \"postgresql\" } }\n");
    const std::string before = read();
    EXPECT_THROW(append_source(file, source("again")), Error);
    EXPECT_EQ(read(), before);
}

TEST_F(SourceSection, ALinkStaysOne) {
    write("");
    const std::string link = directory / "link.toml";
    fs::create_symlink(file, link);
    append_source(link, source("again"));
    EXPECT_TRUE(fs::is_symlink(link));
    EXPECT_TRUE(load_configuration(file).sources.contains("again"));
}

TEST(DurationOption, LengthsOfTime) {
    EXPECT_EQ(parse_duration("90s", "x"), std::chrono::seconds(90));
    EXPECT_EQ(parse_duration("30m", "x"), std::chrono::minutes(30));
    EXPECT_EQ(parse_duration("7d", "x"), std::chrono::hours(7 * 24));
    for (const char* text : {"", "5", "m", "1w", "-1h", "1h ", "9999999999h", "1.5h"})
        EXPECT_THROW(parse_duration(text, "x"), Error) << text;
}

} // namespace
} // namespace holdfast
