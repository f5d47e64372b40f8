#include "integration/catalog/catalog_fixture.h"
#include "support/error_matchers.h"
#include "watch/alerts.h"

#include <thread>

#include <gmock/gmock.h>

namespace holdfast {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

class AlertsTest : public test::CatalogTest {
  protected:
    AlertsTest() {
        settings.origin = "test";
        settings.routing =
            Routing({{.channel = "mail"},
                     {.channel = "pager", .severities = {Severity::p1, Severity::p2}, .step = 2},
                     {.channel = "boss", .severities = {Severity::p1}, .step = 5},
                     {.channel = "quiet", .tells_end = false}});
        make();
    }
    void make() { alerts.emplace(*catalog, clock, random, settings); }

    static Judgement judgement(const char* rule, Verdict verdict, const char* subject = "orders") {
        const Rule* found = find_rule(rule);
        return {.rule = found,
                .subject = subject,
                .verdict = verdict,
                .severity = found->severity,
                .summary = verdict == Verdict::breach ? "it is bad" : "it is good",
                .value = 1.5,
                .threshold = 1};
    }
    void round(const char* rule, Verdict verdict, Duration later = minutes(1),
               const char* subject = "orders") {
        clock.advance(later);
        alerts->apply({judgement(rule, verdict, subject)}, true);
    }
    std::optional<Alert> open() {
        const auto list =
            alerts->list({.states = {AlertState::pending, AlertState::firing, AlertState::acknowledged}});
        EXPECT_LE(list.size(), 1u);
        return list.empty() ? std::nullopt : std::optional(list.front());
    }
    std::string state() { return open() ? std::string(to_string(open()->state)) : "none"; }
    // What is queued and was not looked at yet, as "channel:event:level".
    std::vector<std::string> told() {
        std::vector<std::string> notices;
        for (const std::string& channel : outbox.due_channels()) {
            while (const auto notice = outbox.claim(channel, "test", minutes(1))) {
                notices.push_back(
                    fmt::format("{}:{}:{}", channel, to_string(notice->notice.event), notice->notice.level));
                EXPECT_TRUE(outbox.finish(*notice, {.sent = true}));
            }
        }
        std::ranges::sort(notices);
        return notices;
    }

    AlertSettings settings;
    std::optional<Alerts> alerts;
    Outbox outbox{*catalog, clock, random};
};
HOLDFAST_BOTH_DATABASES(AlertsTest);

TEST_P(AlertsTest, FireAfterTheirTimeAndEvaluations) {
    // receiver_down: 2 min and 2 evaluations; clear 1 min and 2.
    round("receiver_down", Verdict::breach);
    EXPECT_EQ(state(), "pending");
    EXPECT_THAT(told(), IsEmpty());
    round("receiver_down", Verdict::breach);
    EXPECT_EQ(state(), "pending") << "two evaluations, but not two minutes";
    round("receiver_down", Verdict::breach);
    EXPECT_EQ(state(), "firing");
    EXPECT_EQ(open()->summary, "it is bad");
    EXPECT_EQ(open()->value, 1.5);
    EXPECT_EQ(open()->severity, Severity::p2);
    EXPECT_THAT(told(), ElementsAre("mail:trigger:1", "quiet:trigger:1"));
    round("receiver_down", Verdict::clear);
    EXPECT_EQ(state(), "firing") << "once is not enough";
    round("receiver_down", Verdict::breach);
    round("receiver_down", Verdict::clear);
    EXPECT_EQ(state(), "firing") << "it was bad between";
    round("receiver_down", Verdict::clear);
    EXPECT_EQ(state(), "none");
    EXPECT_THAT(told(), ElementsAre("mail:resolve:1"));
    const auto resolved = alerts->list({.states = {AlertState::resolved}});
    ASSERT_THAT(resolved, SizeIs(1));
    EXPECT_EQ(resolved[0].resolved, clock.now());
    std::vector<std::string> names;
    for (const AlertEvent& event : alerts->events(resolved[0].id)) names.push_back(event.event);
    EXPECT_THAT(names, ElementsAre("fired", "told", "resolved"));
}

TEST_P(AlertsTest, PendingOnesGoWithoutATrace) {
    round("receiver_down", Verdict::breach);
    round("receiver_down", Verdict::clear);
    EXPECT_THAT(alerts->list({.states = {}}), IsEmpty());
    round("receiver_down", Verdict::breach);
    round("receiver_down", Verdict::between);
    EXPECT_THAT(alerts->list({.states = {}}), IsEmpty());
}

TEST_P(AlertsTest, WhatIsUnknownChangesNothing) {
    round("backup_old", Verdict::breach);
    EXPECT_EQ(state(), "firing");
    round("backup_old", Verdict::unknown, hours(5));
    round("backup_old", Verdict::between, hours(5));
    EXPECT_EQ(state(), "firing");
    round("backup_old", Verdict::clear);
    EXPECT_EQ(state(), "none");
    round("backup_old", Verdict::unknown);
    EXPECT_EQ(state(), "none");
}

TEST_P(AlertsTest, EscalateUntilSomebodyAcknowledges) {
    round("backup_failed", Verdict::breach); // P1: 15 min
    EXPECT_THAT(told(), ElementsAre("mail:trigger:1", "quiet:trigger:1"));
    round("backup_failed", Verdict::breach, minutes(14));
    EXPECT_THAT(told(), IsEmpty());
    round("backup_failed", Verdict::breach, minutes(1));
    EXPECT_THAT(told(), ElementsAre("pager:trigger:2"));
    round("backup_failed", Verdict::breach, minutes(15));
    EXPECT_THAT(told(), ElementsAre("boss:trigger:5"));
    round("backup_failed", Verdict::breach, hours(23));
    EXPECT_THAT(told(), IsEmpty());
    round("backup_failed", Verdict::breach, hours(1));
    EXPECT_THAT(told(), ElementsAre("boss:trigger:5")) << "the end of the chain is reminded";

    const std::string id = open()->id;
    EXPECT_TRUE(alerts->acknowledge(id, "anna", "I look at it"));
    EXPECT_FALSE(alerts->acknowledge(id, "bert"));
    EXPECT_EQ(open()->acknowledged_by, "anna");
    EXPECT_THAT(told(), ElementsAre("boss:acknowledge:5", "mail:acknowledge:5", "pager:acknowledge:5"));
    round("backup_failed", Verdict::breach, hours(100));
    EXPECT_EQ(state(), "acknowledged");
    EXPECT_THAT(told(), IsEmpty());
    round("backup_failed", Verdict::clear);
    EXPECT_THAT(told(), ElementsAre("boss:resolve:5", "mail:resolve:5", "pager:resolve:5"));
}

TEST_P(AlertsTest, SeverityDecidesHowSoonItEscalates) {
    round("backup_old", Verdict::breach); // P2: 30 min, and not for the boss
    told();
    round("backup_old", Verdict::breach, minutes(29));
    EXPECT_THAT(told(), IsEmpty());
    round("backup_old", Verdict::breach, minutes(1));
    EXPECT_THAT(told(), ElementsAre("pager:trigger:2"));
    round("backup_old", Verdict::breach, hours(23));
    EXPECT_THAT(told(), IsEmpty());
}

TEST_P(AlertsTest, WhatGetsWorseIsToldAgain) {
    round("certificate_expiring", Verdict::breach); // P3
    told();
    EXPECT_TRUE(alerts->acknowledge(open()->id, "anna"));
    told();
    Judgement worse = judgement("certificate_expiring", Verdict::breach);
    worse.severity = Severity::p1;
    clock.advance(minutes(1));
    alerts->apply({worse}, true);
    EXPECT_EQ(state(), "firing");
    EXPECT_EQ(open()->severity, Severity::p1);
    EXPECT_THAT(told(), ElementsAre("mail:trigger:1", "quiet:trigger:1"));
    round("certificate_expiring", Verdict::breach);
    EXPECT_EQ(open()->severity, Severity::p1) << "what was worst stays";
}

TEST_P(AlertsTest, AreOpenOnceHoweverManyServersJudge) {
    Alerts other(*catalog, clock, random, settings);
    clock.advance(minutes(1));
    {
        std::vector<std::jthread> servers;
        for (int i = 0; i < 4; ++i) {
            servers.emplace_back([&] {
                for (int j = 0; j < 5; ++j) {
                    alerts->apply({judgement("backup_failed", Verdict::breach)}, true);
                    other.apply({judgement("receiver_down", Verdict::breach, "invoices")}, false);
                }
            });
        }
    }
    // The one that nothing was judged about ends or stays; here each may have ended the other's pending one.
    alerts->apply({judgement("backup_failed", Verdict::breach)}, true);
    const auto open = alerts->list({.states = {AlertState::firing}});
    ASSERT_THAT(open, SizeIs(1));
    EXPECT_EQ(open[0].evaluations, 1) << "evaluations at the same time count once";
    EXPECT_THAT(told(), ElementsAre("mail:trigger:1", "quiet:trigger:1"));
}

TEST_P(AlertsTest, OutliveTheServer) {
    round("receiver_down", Verdict::breach);
    make();
    catalog = std::make_unique<Catalog>(url, silent_logger());
    Alerts again(*catalog, clock, random, settings);
    clock.advance(minutes(2));
    again.apply({judgement("receiver_down", Verdict::breach)}, true);
    EXPECT_THAT(again.list({.states = {AlertState::firing}}), SizeIs(1));
    Outbox box(*catalog, clock, random);
    EXPECT_THAT(box.due_channels(), SizeIs(2));
}

TEST_P(AlertsTest, SilencesHoldNoticesBack) {
    Silence silence{.id = {},
                    .rule = "backup_*",
                    .subject = "ord*",
                    .owner = "anna",
                    .reason = "we move",
                    .ends = clock.now() + hours(2)};
    const std::string id = alerts->silence(silence);
    round("backup_failed", Verdict::breach);
    EXPECT_EQ(state(), "firing") << "it is seen, but not told";
    EXPECT_THAT(told(), IsEmpty());
    round("backup_failed", Verdict::breach, hours(1));
    EXPECT_THAT(told(), IsEmpty());
    ASSERT_THAT(alerts->silences(), SizeIs(1));
    EXPECT_EQ(alerts->silences()[0].reason, "we move");
    round("backup_failed", Verdict::breach, hours(1));
    EXPECT_THAT(told(), ElementsAre("mail:trigger:1", "quiet:trigger:1")) << "it is over";
    EXPECT_THAT(alerts->silences(), IsEmpty());
    EXPECT_THAT(alerts->silences(true), SizeIs(1));
    EXPECT_FALSE(alerts->end_silence(id, "anna"));
}

TEST_P(AlertsTest, SilencesCanBeEndedEarlyAndMustBeWhole) {
    Silence silence{.id = {},
                    .rule = "*",
                    .subject = "*",
                    .owner = "anna",
                    .reason = "we move",
                    .ends = clock.now() + hours(2)};
    const std::string id = alerts->silence(silence);
    round("backup_failed", Verdict::breach);
    EXPECT_TRUE(alerts->end_silence(id, "bert"));
    EXPECT_EQ(alerts->silences(true)[0].ended_by, "bert");
    round("backup_failed", Verdict::breach);
    EXPECT_THAT(told(), SizeIs(2));

    const auto refused = [&](auto change) {
        Silence wrong{.id = {},
                      .rule = "*",
                      .subject = "*",
                      .owner = "a",
                      .reason = "b",
                      .ends = clock.now() + hours(2)};
        change(wrong);
        try {
            alerts->silence(wrong);
        } catch (const Error& error) {
            return error.field();
        }
        return std::string("none");
    };
    EXPECT_EQ(refused([](Silence& s) { s.owner.clear(); }), "owner");
    EXPECT_EQ(refused([](Silence& s) { s.reason.clear(); }), "reason");
    EXPECT_EQ(refused([](Silence& s) { s.rule = "nonsense"; }), "rule");
    EXPECT_EQ(refused([](Silence& s) { s.ends = {}; }), "ends");
    EXPECT_EQ(refused([](Silence& s) { s.ends += hours(24 * 400); }), "ends");
}

TEST_P(AlertsTest, EndWithWhatTheyAreAbout) {
    round("backup_failed", Verdict::breach);
    round("clock_off", Verdict::breach, minutes(1), "server-1");
    EXPECT_EQ(open()->rule, "clock_off") << "the source is gone; of servers nobody knows that";
    clock.advance(minutes(2));
    alerts->apply({judgement("clock_off", Verdict::breach, "server-1")}, true);
    EXPECT_EQ(state(), "firing");
    alerts->apply({}, false);
    EXPECT_EQ(state(), "firing");
    settings.rules = RuleBook({{"clock_off", parse_rule_settings("clock_off", R"({"off": true})")}});
    make();
    alerts->apply({}, false);
    EXPECT_EQ(state(), "none") << "its rule is switched off";
}

TEST_P(AlertsTest, CanBeResolvedByHandAndBeginAnew) {
    round("backup_failed", Verdict::breach);
    const std::string id = open()->id;
    told();
    EXPECT_TRUE(alerts->resolve(id, "anna", "false alarm"));
    EXPECT_FALSE(alerts->resolve(id, "anna"));
    EXPECT_EQ(alerts->find(id)->resolved_by, "anna");
    EXPECT_THAT(told(), ElementsAre("mail:resolve:1"));
    round("backup_failed", Verdict::breach);
    EXPECT_NE(open()->id, id);
    EXPECT_FALSE(alerts->find("nothing"));
}

TEST_P(AlertsTest, AClockThatJumpsNeitherLosesNorSpamsAnything) {
    round("receiver_down", Verdict::breach);
    clock.set_time_of_day(clock.now() - hours(1000));
    round("receiver_down", Verdict::breach);
    round("receiver_down", Verdict::breach, minutes(2));
    EXPECT_EQ(state(), "firing");
    EXPECT_THAT(told(), SizeIs(2));
    clock.set_time_of_day(clock.now() - hours(1000));
    round("receiver_down", Verdict::breach);
    EXPECT_THAT(told(), ElementsAre("pager:trigger:2")) << "once, and then as usual";
    round("receiver_down", Verdict::breach);
    EXPECT_THAT(told(), IsEmpty());
}

TEST_P(AlertsTest, ListsAreFilteredAndPaged) {
    std::vector<Judgement> many;
    for (int i = 0; i < 5; ++i)
        many.push_back(judgement("backup_failed", Verdict::breach, fmt::format("s{}", i).c_str()));
    many.push_back(judgement("backup_old", Verdict::breach, "s0"));
    alerts->apply(many, true);
    EXPECT_THAT(alerts->list({}), SizeIs(6));
    EXPECT_THAT(alerts->list({.severities = {Severity::p2}}), SizeIs(1));
    EXPECT_THAT(alerts->list({.subject = "s0"}), SizeIs(2));
    EXPECT_THAT(alerts->list({.rule = "backup_old", .subject = "s1"}), IsEmpty());
    const auto first = alerts->list({.limit = 4});
    ASSERT_THAT(first, SizeIs(4));
    EXPECT_THAT(alerts->list({.before = first.back().id}), SizeIs(2));
    EXPECT_EQ(alerts->open_counts().at(Severity::p1), 5);
    EXPECT_EQ(alerts->open_counts().at(Severity::p4), 0);
    alerts->apply({}, true);
    EXPECT_EQ(alerts->remove_resolved_before(clock.now()), 0);
    clock.advance(hours(1));
    EXPECT_EQ(alerts->remove_resolved_before(clock.now()), 6);
    EXPECT_THAT(alerts->list({.states = {}}), IsEmpty());
}

} // namespace
} // namespace holdfast
