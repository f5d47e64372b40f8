#include "cli/option_rules.h"
#include "support/error_matchers.h"

#include <algorithm>

#include <gmock/gmock.h>

namespace holdfast::test {
namespace {

using testing::HasSubstr;

class OptionRules : public testing::Test {
  protected:
    OptionRules() {
        app.add_option("--tag", tag);
        {
            const OptionHeading heading(app, options_for_documents);
            app.add_option("--exclude,-x", exclude);
            app.add_flag("--sync", sync);
        }
        app.add_flag("--start", start);
    }

    void parse(std::vector<std::string> words) {
        std::reverse(words.begin(), words.end());
        app.parse(words);
    }
    void refuse_documents() { refuse_options_under(app, options_for_documents, "for documents", "or go on"); }
    template <typename Body>
    static std::string text_of(Body body) {
        const std::optional<Error> error = error_of(body);
        if (!error) return "";
        EXPECT_EQ(error->code(), ErrorCode::usage);
        return error->message() + "; " + error->hint();
    }

    CLI::App app;
    std::string tag, exclude;
    bool sync = false, start = false;
};

TEST_F(OptionRules, OfAHeadingThoseAreRefusedThatWereTyped) {
    parse({"--tag", "a", "--start"});
    EXPECT_NO_THROW(refuse_documents());
    parse({"--sync"});
    EXPECT_EQ(text_of([&] { refuse_documents(); }), "--sync is for documents; leave it out, or go on");
    parse({"-x", "a", "--sync", "--tag", "b"});
    EXPECT_EQ(text_of([&] { refuse_documents(); }),
              "--exclude and --sync are for documents; leave them out, or go on");
}

TEST_F(OptionRules, AHeadingEndsWithItsScope) {
    EXPECT_EQ(app.get_option("--exclude")->get_group(), options_for_documents);
    EXPECT_EQ(app.get_option("--start")->get_group(), app.get_option("--tag")->get_group());
    EXPECT_THAT(app.help(), HasSubstr("For documents:"));
}

TEST_F(OptionRules, WhatNeedsAnotherIsRefusedWithoutIt) {
    const std::vector<OptionNeed> rules = {{"--tag", {"--start", "--sync"}}};
    parse({"--exclude", "x"});
    EXPECT_NO_THROW(require_needed_options(app, rules));
    parse({"--tag", "a"});
    EXPECT_EQ(text_of([&] { require_needed_options(app, rules); }),
              "--tag has no effect without --start or --sync; add --start or --sync, or leave --tag out");
    parse({"--tag", "a", "--sync"});
    EXPECT_NO_THROW(require_needed_options(app, rules));
}

TEST_F(OptionRules, OfThoseThatExcludeEachOtherOneIsTaken) {
    const std::vector<ExclusiveOptions> rules = {{"--tag", "--start", "--sync"}};
    parse({"--start", "--exclude", "x"});
    EXPECT_NO_THROW(refuse_options_together(app, rules));
    parse({"--start", "--tag", "x"});
    EXPECT_THAT(text_of([&] { refuse_options_together(app, rules); }),
                HasSubstr("--tag and --start exclude each other"));
    parse({"--start", "--tag", "x", "--sync"});
    EXPECT_THAT(text_of([&] { refuse_options_together(app, rules); }),
                HasSubstr("--tag, --start and --sync"));
}

} // namespace
} // namespace holdfast::test
