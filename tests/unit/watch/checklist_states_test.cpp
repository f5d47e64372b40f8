#include "watch/checklist_states.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace holdfast {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

const Checklist list{.name = "daily", .items = {{"a", "A"}, {"b", "B"}}};
const Timestamp first = from_rfc3339("2026-11-20T09:00:00Z"); // both were heard of
const ChecklistRecord fresh{.known_since = {{"a", first}, {"b", first}}};

ChecklistTick tick(const char* item, const char* at) {
    return {.list = "daily", .item = item, .at = from_rfc3339(at), .by = "anna"};
}

// "a done, b due" of each period, the newest first.
std::vector<std::string> states(const Checklist& of, const ChecklistRecord& record, const char* now,
                                std::size_t count = 10) {
    std::vector<std::string> texts;
    for (const ChecklistPeriod& period : checklist_periods(of, record, from_rfc3339(now), count)) {
        std::string& text = texts.emplace_back();
        for (const ChecklistItemState& each : period.items) {
            text += (text.empty() ? "" : ", ") + each.item.name + " " + std::string(to_string(each.state));
            EXPECT_EQ(each.tick.has_value(), each.state == ItemState::done);
        }
    }
    return texts;
}

TEST(ChecklistStatesTest, NothingIsMissedBeforeAWholePeriod) {
    EXPECT_THAT(states(list, fresh, "2026-11-20T12:00:00Z"), ElementsAre("a due, b due"));
    EXPECT_THAT(states(list, fresh, "2026-11-21T00:00:00Z"), ElementsAre("a due, b due", ""));
    EXPECT_THAT(states(list, fresh, "2026-11-22T00:00:00Z"),
                ElementsAre("a due, b due", "a missed, b missed", ""));
    EXPECT_THAT(states(list, fresh, "2026-11-22T00:00:00Z", 2),
                ElementsAre("a due, b due", "a missed, b missed"));
}

TEST(ChecklistStatesTest, TicksCountForThePeriodTheyWereGivenIn) {
    ChecklistRecord record = fresh;
    record.ticks = {tick("a", "2026-11-20T10:00:00Z"), tick("b", "2026-11-21T23:59:59Z"),
                    tick("a", "2026-11-22T00:00:00Z")};
    EXPECT_THAT(states(list, record, "2026-11-22T12:00:00Z"),
                ElementsAre("a done, b due", "a missed, b done", "a done"));
    // The same moments are other days elsewhere.
    Checklist elsewhere = list;
    elsewhere.zone = TimeZone::named("America/New_York");
    EXPECT_THAT(states(elsewhere, record, "2026-11-22T12:00:00Z"),
                ElementsAre("a due, b due", "a done, b done", "a done"));
}

TEST(ChecklistStatesTest, ItemsComeAndGo) {
    ChecklistRecord record{.ticks = {tick("old", "2026-11-21T10:00:00Z")},
                           .known_since = {{"old", first},
                                           {"a", from_rfc3339("2026-11-21T10:00:00Z")},
                                           {"b", from_rfc3339("2026-11-22T10:00:00Z")}}};
    EXPECT_THAT(states(list, record, "2026-11-23T12:00:00Z"),
                ElementsAre("a due, b due", "a missed", "old done", ""));
}

TEST(ChecklistStatesTest, WhatWasMissedIsTakenUpByATickSince) {
    ChecklistRecord record = fresh;
    const Timestamp now = from_rfc3339("2026-11-22T12:00:00Z");
    ChecklistFacts facts = checklist_facts(list, record, now);
    EXPECT_EQ(facts.due, 2);
    EXPECT_THAT(facts.missed, ElementsAre("a", "b"));
    record.ticks = {tick("b", "2026-11-22T08:00:00Z")};
    facts = checklist_facts(list, record, now);
    EXPECT_EQ(facts.due, 1);
    EXPECT_THAT(facts.missed, ElementsAre("a"));
    EXPECT_THAT(checklist_facts(list, fresh, from_rfc3339("2026-11-21T12:00:00Z")).missed, IsEmpty());
}

TEST(ChecklistStatesTest, TheSpanHoldsAllPeriods) {
    const Checklist quarterly{.name = "q", .every = ChecklistRhythm::quarter};
    const TimeSpan span = checklist_span(quarterly, from_rfc3339("2026-11-22T12:00:00Z"), 3);
    EXPECT_EQ(to_rfc3339(span.begin), "2026-04-01T00:00:00Z");
    EXPECT_EQ(to_rfc3339(span.end), "2027-01-01T00:00:00Z");
}

} // namespace
} // namespace holdfast
