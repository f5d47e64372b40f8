#include "integration/catalog/catalog_fixture.h"
#include "support/error_matchers.h"
#include "watch/outbox.h"

#include <atomic>
#include <thread>

#include <gmock/gmock.h>

namespace holdfast {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;
using testing::ElementsAre;
using testing::IsEmpty;

class OutboxTest : public test::CatalogTest {
  protected:
    Outbox outbox{*catalog, clock, random};

    void add(const std::string& id, const std::string& alert = "a", const std::string& channel = "mail") {
        Notice notice;
        notice.alert = alert;
        notice.dedup_key = "key";
        notice.summary = "zażółć \"gęślą\" \n jaźń";
        notice.time = clock.now();
        catalog->transaction([&](Database& database) { Outbox::add(database, id, channel, notice); });
    }
    std::optional<QueuedNotice> claim(const std::string& owner = "server-1") {
        return outbox.claim("mail", owner, minutes(1));
    }
    ChannelState state() {
        const auto states = outbox.channel_states();
        return states.empty() ? ChannelState() : states.front();
    }
};
HOLDFAST_BOTH_DATABASES(OutboxTest);

TEST_P(OutboxTest, KeepsWhatIsToBeToldUntilItIs) {
    EXPECT_THAT(outbox.due_channels(), IsEmpty());
    add("1");
    EXPECT_THAT(outbox.due_channels(), ElementsAre("mail"));
    const auto claimed = claim();
    ASSERT_TRUE(claimed);
    EXPECT_EQ(claimed->notice.id, "1");
    EXPECT_EQ(claimed->notice.summary, "zażółć \"gęślą\" \n jaźń");
    EXPECT_EQ(claimed->attempts, 1);
    EXPECT_THAT(outbox.due_channels(), IsEmpty());
    EXPECT_EQ(state().waiting, 1);
    EXPECT_TRUE(outbox.finish(*claimed, {.sent = true}));
    EXPECT_FALSE(outbox.finish(*claimed, {.sent = true}));
    EXPECT_FALSE(claim());
    EXPECT_EQ(state().sent, 1);
    EXPECT_EQ(state().waiting, 0);
    EXPECT_EQ(state().last_success, clock.now());
}

TEST_P(OutboxTest, TriesAgainLaterAndLater) {
    add("1");
    Duration before{};
    for (int attempt = 1; attempt <= 8; ++attempt) {
        const auto claimed = claim();
        ASSERT_TRUE(claimed) << attempt;
        EXPECT_EQ(claimed->attempts, attempt);
        EXPECT_TRUE(outbox.finish(*claimed, {.retryable = true, .error = "refused"}));
        const Timestamp failed = clock.now();
        while (outbox.due_channels().empty() && clock.now() - failed < hours(1)) clock.advance(seconds(1));
        const Duration waited = clock.now() - failed;
        EXPECT_GE(waited, seconds(2) * (1 << (attempt - 1)));
        EXPECT_LE(waited, seconds(9) * (1 << (attempt - 1)));
        EXPECT_GT(waited * 4, before);
        before = waited;
    }
    EXPECT_EQ(state().failed_in_a_row, 8);
    EXPECT_EQ(state().failed, 0);
    EXPECT_EQ(state().last_error, "refused");
    EXPECT_TRUE(outbox.finish(claim().value(), {.sent = true}));
    EXPECT_EQ(state().failed_in_a_row, 0);
}

TEST_P(OutboxTest, WaitsAsLongAsItWasAskedTo) {
    add("1");
    EXPECT_TRUE(outbox.finish(claim().value(), {.retryable = true, .retry_after_seconds = 120}));
    clock.advance(seconds(119));
    EXPECT_FALSE(claim());
    clock.advance(seconds(2));
    EXPECT_TRUE(claim());
}

TEST_P(OutboxTest, GivesUpWhatMakesNoSenseAndWhatIsOld) {
    add("1");
    EXPECT_TRUE(outbox.finish(claim().value(), {.error = "no such channel"}));
    clock.advance(hours(1));
    EXPECT_FALSE(claim());
    EXPECT_EQ(state().failed, 1);
    add("2", "b");
    clock.advance(hours(25));
    EXPECT_TRUE(outbox.finish(claim().value(), {.retryable = true}));
    clock.advance(hours(1));
    EXPECT_FALSE(claim());
    EXPECT_EQ(state().failed, 2);
    EXPECT_EQ(outbox.remove_ended_before(clock.now()), 2);
}

TEST_P(OutboxTest, KeepsTheOrderOfAnAlert) {
    add("1");
    add("2");
    add("3", "b");
    const auto first = claim();
    EXPECT_EQ(first->id, "1");
    EXPECT_EQ(claim()->id, "3") << "of another alert";
    EXPECT_FALSE(claim()) << "the first is still on its way";
    EXPECT_TRUE(outbox.finish(*first, {.retryable = true}));
    EXPECT_FALSE(claim());
    clock.advance(seconds(10));
    EXPECT_EQ(claim()->id, "1");
}

TEST_P(OutboxTest, TakesOverFromAServerThatDied) {
    add("1");
    const auto lost = claim("server-1");
    ASSERT_TRUE(lost);
    EXPECT_FALSE(claim("server-2"));
    clock.advance(minutes(1));
    const auto again = claim("server-2");
    ASSERT_TRUE(again);
    EXPECT_EQ(again->id, lost->id) << "receivers know it by its id";
    EXPECT_FALSE(outbox.finish(*lost, {.sent = true})) << "it is not the first server's any more";
    EXPECT_TRUE(outbox.finish(*again, {.sent = true}));
}

TEST_P(OutboxTest, AClockThatWasAheadHoldsNothingBack) {
    const Timestamp right = clock.now();
    clock.set_time_of_day(right + hours(3));
    add("1");
    add("2", "b");
    const auto failing = claim();
    ASSERT_TRUE(failing);
    EXPECT_TRUE(outbox.finish(*failing, {.retryable = true, .error = "no answer"}));
    ASSERT_TRUE(claim()); // and lost with its server
    clock.set_time_of_day(right);
    if (!own_clock()) { // it may be another server's, and right
        EXPECT_FALSE(claim());
        return;
    }
    EXPECT_THAT(outbox.due_channels(), ElementsAre("mail"));
    EXPECT_TRUE(outbox.finish(claim().value(), {.sent = true}));
    EXPECT_TRUE(outbox.finish(claim().value(), {.sent = true}));
    EXPECT_FALSE(claim());
}

TEST_P(OutboxTest, GivesEachNoticeToOneOfManyServers) {
    for (int i = 0; i < 20; ++i) add(fmt::format("{:02}", i), fmt::format("alert-{}", i));
    std::atomic<int> got = 0;
    {
        std::vector<std::jthread> servers;
        for (int i = 0; i < 4; ++i) {
            servers.emplace_back([&, i] {
                while (const auto notice = claim(fmt::format("server-{}", i)))
                    if (outbox.finish(*notice, {.sent = true})) ++got;
            });
        }
    }
    EXPECT_EQ(got, 20);
    EXPECT_EQ(state().sent, 20);
}

TEST_P(OutboxTest, DropsWhatHasNoChannelAnyMore) {
    add("1");
    add("2", "b", "pager");
    outbox.drop_unknown({"pager"});
    EXPECT_THAT(outbox.due_channels(), ElementsAre("pager"));
}

TEST_P(OutboxTest, KeysAreStableAndDifferent) {
    EXPECT_EQ(dedup_key("o", "r", "s"), dedup_key("o", "r", "s"));
    EXPECT_NE(dedup_key("o", "r", "s"), dedup_key("o", "rs", ""));
    EXPECT_NE(dedup_key("o", "r", "s"), dedup_key("p", "r", "s"));
    EXPECT_EQ(test::code_of([] { parse_notice("{}"); }), "corrupt");
    EXPECT_EQ(test::code_of([] { parse_notice("nonsense"); }), "corrupt");
}

} // namespace
} // namespace holdfast
