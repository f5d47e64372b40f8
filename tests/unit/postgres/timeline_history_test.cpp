#include "postgres/wal/timeline_history.h"
#include "support/error_matchers.h"

#include <gtest/gtest.h>

namespace holdfast::postgres {
namespace {

using test::code_of;

constexpr std::string_view text = "# made by hand\n"
                                  "1\t0/5000098\tno recovery target specified\n"
                                  "\n"
                                  "  3\t0/7000000\tbefore 2026-11-21 10:00:00+00\n";

TEST(TimelineHistory, ReadsAndWritesHistoryFiles) {
    const TimelineHistory history = TimelineHistory::parse(4, text);
    ASSERT_EQ(history.ancestors().size(), 2U);
    EXPECT_EQ(history.ancestors()[0],
              (TimelineHistory::Ancestor{1, Lsn{0x5000098}, "no recovery target specified"}));
    EXPECT_EQ(history.ancestors()[1].timeline, 3U);
    EXPECT_EQ(history.text(), "1\t0/5000098\tno recovery target specified\n3\t0/7000000\tbefore 2026-11-21 "
                              "10:00:00+00\n");
    EXPECT_EQ(TimelineHistory::parse(4, history.text()), history);
    EXPECT_TRUE(TimelineHistory(1).text().empty());
}

TEST(TimelineHistory, RefusesWhatPostgresqlRefuses) {
    for (const std::string_view bad : {"x\t0/1\n", "1\n", "1\tnowhere\treason\n", "0\t0/1\n", "4\t0/1\n",
                                       "2\t0/1\n1\t0/2\n", "1\t0/5\n2\t0/4\n", "1 2 3\n", "-1\t0/1\n"})
        EXPECT_EQ(code_of([&] { TimelineHistory::parse(4, bad); }), "corrupt") << bad;
    EXPECT_EQ(code_of([] { TimelineHistory(0); }), "usage");
}

TEST(TimelineHistory, SaysWhichTimelineHoldsAPosition) {
    const TimelineHistory history = TimelineHistory::parse(4, text);
    EXPECT_EQ(history.timeline_at(Lsn{0x5000097}), 1U);
    EXPECT_EQ(history.timeline_at(Lsn{0x5000098}), 3U);
    EXPECT_EQ(history.timeline_at(Lsn{0x6ffffff}), 3U);
    EXPECT_EQ(history.timeline_at(Lsn{0x7000000}), 4U);
    EXPECT_TRUE(history.contains(3));
    EXPECT_FALSE(history.contains(2));
    EXPECT_EQ(history.part_of(3)->begin, Lsn{0x5000098});
    EXPECT_EQ(history.part_of(3)->end, Lsn{0x7000000});
    EXPECT_FALSE(history.part_of(4)->end);
    EXPECT_FALSE(history.part_of(2));
}

TEST(TimelineHistory, BranchesAndFindsWhereTheyParted) {
    const TimelineHistory one(1);
    const TimelineHistory two = one.branch(2, Lsn{100}, "promoted\nagain ");
    const TimelineHistory three = one.branch(3, Lsn{80}, "earlier");
    const TimelineHistory four = two.branch(4, Lsn{200}, "");
    EXPECT_EQ(two.text(), "1\t0/64\tpromoted again\n");
    EXPECT_EQ(code_of([&] { two.branch(2, Lsn{300}, ""); }), "usage");
    EXPECT_EQ(code_of([&] { two.branch(5, Lsn{90}, ""); }), "usage");
    const auto parted = [](const TimelineHistory& a, const TimelineHistory& b) {
        const auto fork = a.fork_from(b);
        EXPECT_EQ(fork.has_value(), b.fork_from(a).has_value());
        if (fork) {
            EXPECT_EQ(fork->end, b.fork_from(a)->end);
            EXPECT_EQ(fork->timeline, b.fork_from(a)->timeline);
        }
        return std::pair(fork->timeline, fork->end);
    };
    EXPECT_EQ(parted(two, three), (std::pair<TimelineId, std::optional<Lsn>>(1, Lsn{80})));
    EXPECT_EQ(parted(one, two), (std::pair<TimelineId, std::optional<Lsn>>(1, Lsn{100})));
    EXPECT_EQ(parted(two, four), (std::pair<TimelineId, std::optional<Lsn>>(2, Lsn{200})));
    EXPECT_EQ(parted(three, four), (std::pair<TimelineId, std::optional<Lsn>>(1, Lsn{80})));
    EXPECT_EQ(parted(four, four), (std::pair<TimelineId, std::optional<Lsn>>(4, std::nullopt)));
    EXPECT_FALSE(TimelineHistory(7).fork_from(one));
}

} // namespace
} // namespace holdfast::postgres
