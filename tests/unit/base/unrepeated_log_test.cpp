// What lasts is said now and then.
#include "base/unrepeated_log.h"

#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace holdfast {
namespace {

using testing::ElementsAre;
using testing::SizeIs;

class Lines final : public Logger {
  public:
    void log(LogLevel level, std::string_view event, std::initializer_list<LogField> fields) override {
        lines.push_back(render_log_line(LogFormat::text, "", level, event, fields));
    }
    std::vector<std::string> lines;
};

class UnrepeatedLogTest : public testing::Test {
  protected:
    static std::string line(LogLevel level, std::string_view event,
                            std::initializer_list<LogField> fields = {}) {
        return render_log_line(LogFormat::text, "", level, event, fields);
    }

    Lines to_;
    FakeClock clock_{Timestamp(std::chrono::hours(1))};
    UnrepeatedLog log_{to_, clock_};
};

TEST_F(UnrepeatedLogTest, TheSameWarningIsSaidOnceAnHourAndHowOftenItWas) {
    for (int second = 0; second < 3600; second += 5) {
        log_.warning("notices wait", {{"reason", "no catalog"}});
        clock_.advance(std::chrono::seconds(5));
    }
    const std::string warning = line(LogLevel::warning, "notices wait", {{"reason", "no catalog"}});
    EXPECT_THAT(to_.lines, ElementsAre(warning));
    log_.warning("notices wait", {{"reason", "no catalog"}});
    EXPECT_THAT(to_.lines, ElementsAre(warning, warning,
                                       line(LogLevel::warning, "said before",
                                            {{"event", "notices wait"}, {"times", std::int64_t{719}}})));
}

TEST_F(UnrepeatedLogTest, WhatWasOverAndComesAgainIsNews) {
    log_.warning("notices wait");
    clock_.advance(std::chrono::minutes(1));
    log_.warning("notices wait");
    EXPECT_THAT(to_.lines, SizeIs(1));
    clock_.advance(std::chrono::minutes(5));
    log_.warning("notices wait");
    EXPECT_THAT(to_.lines, SizeIs(2)) << "and nothing of what was held back before";
}

TEST_F(UnrepeatedLogTest, WhatDiffersIsSaid) {
    log_.warning("notices wait", {{"reason", "no catalog"}});
    log_.error("notices wait", {{"reason", "no catalog"}});
    log_.warning("notices wait", {{"reason", "no route"}});
    log_.warning("notices wait");
    EXPECT_THAT(to_.lines, SizeIs(4));
}

TEST_F(UnrepeatedLogTest, WhatIsNoProblemIsSaidEachTime) {
    for (int i = 0; i < 3; ++i) {
        log_.info("operation begins");
        log_.debug("asked");
    }
    EXPECT_THAT(to_.lines, SizeIs(6));
}

TEST_F(UnrepeatedLogTest, RemembersTheLatest) {
    for (int i = 0; i < 5'000; ++i) {
        log_.warning("trouble", {{"number", std::int64_t{i}}});
        clock_.advance(std::chrono::milliseconds(1));
    }
    EXPECT_THAT(to_.lines, SizeIs(5'000));
    log_.warning("trouble", {{"number", std::int64_t{4'500}}});
    EXPECT_THAT(to_.lines, SizeIs(5'000));
    log_.warning("trouble", {{"number", std::int64_t{0}}});
    EXPECT_THAT(to_.lines, SizeIs(5'001));
}

} // namespace
} // namespace holdfast
