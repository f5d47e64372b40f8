#include "base/error.h"
#include "policy/checklist.h"

#include <set>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace holdfast {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::string span_of(ChecklistRhythm every, const std::string& zone, const std::string& time) {
    const Checklist list{.name = "list", .every = every, .zone = TimeZone::named(zone)};
    const TimeSpan span = list.period(from_rfc3339(time));
    EXPECT_TRUE(span.contains(from_rfc3339(time)));
    // The one before ends where this one begins.
    EXPECT_EQ(list.period(span.begin - Duration(1)).end, span.begin);
    EXPECT_EQ(list.period(span.end).begin, span.end);
    return to_rfc3339(span.begin) + " " + to_rfc3339(span.end);
}

TEST(ChecklistTest, PeriodsGoByTheCalendar) {
    using enum ChecklistRhythm;
    EXPECT_EQ(span_of(day, "UTC", "2026-11-22T00:00:00Z"), "2026-11-22T00:00:00Z 2026-11-23T00:00:00Z");
    EXPECT_EQ(span_of(day, "UTC", "2026-11-22T23:59:59.9Z"), "2026-11-22T00:00:00Z 2026-11-23T00:00:00Z");
    // A Sunday belongs to the week that began on Monday.
    EXPECT_EQ(span_of(week, "UTC", "2026-11-22T12:00:00Z"), "2026-11-16T00:00:00Z 2026-11-23T00:00:00Z");
    EXPECT_EQ(span_of(week, "UTC", "2027-01-01T12:00:00Z"), "2026-12-28T00:00:00Z 2027-01-04T00:00:00Z");
    EXPECT_EQ(span_of(month, "UTC", "2028-02-29T12:00:00Z"), "2028-02-01T00:00:00Z 2028-03-01T00:00:00Z");
    EXPECT_EQ(span_of(month, "UTC", "2026-12-31T23:59:59Z"), "2026-12-01T00:00:00Z 2027-01-01T00:00:00Z");
    EXPECT_EQ(span_of(quarter, "UTC", "2026-12-31T23:59:59Z"), "2026-10-01T00:00:00Z 2027-01-01T00:00:00Z");
    EXPECT_EQ(span_of(quarter, "UTC", "2026-01-01T00:00:00Z"), "2026-01-01T00:00:00Z 2026-04-01T00:00:00Z");
    EXPECT_EQ(span_of(quarter, "UTC", "2026-09-30T00:00:00Z"), "2026-07-01T00:00:00Z 2026-10-01T00:00:00Z");
}

TEST(ChecklistTest, DaysAreAsLongAsClocksSay) {
    using enum ChecklistRhythm;
    // 23 and 25 hours.
    EXPECT_EQ(span_of(day, "Europe/Berlin", "2026-03-29T12:00:00Z"),
              "2026-03-28T23:00:00Z 2026-03-29T22:00:00Z");
    EXPECT_EQ(span_of(day, "Europe/Berlin", "2026-10-25T12:00:00Z"),
              "2026-10-24T22:00:00Z 2026-10-25T23:00:00Z");
    EXPECT_EQ(span_of(week, "Europe/Berlin", "2026-10-20T12:00:00Z"),
              "2026-10-18T22:00:00Z 2026-10-25T23:00:00Z");
    EXPECT_EQ(span_of(quarter, "Europe/Berlin", "2026-02-01T12:00:00Z"),
              "2025-12-31T23:00:00Z 2026-03-31T22:00:00Z");
    // Midnight does not exist where clocks are put forward then, and the day begins at one.
    EXPECT_EQ(span_of(day, "America/Havana", "2026-03-08T12:00:00Z"),
              "2026-03-08T05:00:00Z 2026-03-09T04:00:00Z");
    // Midnight is there twice.
    EXPECT_EQ(span_of(day, "America/Havana", "2026-11-01T05:30:00Z"),
              "2026-11-01T04:00:00Z 2026-11-02T05:00:00Z");
    // A minute behind midnight clocks were put back by an hour: the day had begun, and went on.
    EXPECT_EQ(span_of(day, "America/St_Johns", "2010-11-07T03:00:00Z"),
              "2010-11-07T02:30:00Z 2010-11-08T03:30:00Z");
}

TEST(ChecklistTest, ThereAreFourByDefault) {
    std::vector<std::string> names;
    for (const Checklist& list : default_checklists()) {
        names.push_back(list.name);
        std::set<std::string> items;
        for (const ChecklistItem& item : list.items) {
            EXPECT_TRUE(items.insert(item.name).second) << list.name << " " << item.name;
            EXPECT_FALSE(item.text.empty());
        }
        EXPECT_FALSE(items.empty());
    }
    EXPECT_THAT(names, ElementsAre("daily", "weekly", "monthly", "quarterly"));
    EXPECT_EQ(checklists_in_force(), default_checklists());
}

TEST(ChecklistTest, EachCheckHasAWordOfItsOwn) {
    std::set<std::string_view> words;
    for (const ChecklistCheck check : all_checklist_checks) {
        EXPECT_TRUE(words.insert(to_string(check)).second) << to_string(check);
        const auto list = parse_checklist(
            "own", fmt::format(R"({{"every": "day", "item": [{{"name": "a", "text": "b", "check": "{}"}}]}})",
                               to_string(check)));
        EXPECT_EQ(list.value().items[0].check, check);
    }
}

TEST(ChecklistTest, WhatIsDeclaredTakesThePlaceOfDefaults) {
    const auto monthly = parse_checklist(
        "monthly", R"({"item": [{"name": "look", "text": "Look", "runbook": "https://wiki/look"}]})");
    const auto daily = parse_checklist("daily", R"({"time_zone": "Europe/Berlin"})");
    const auto own =
        parse_checklist("a-month", R"({"every": "month", "item": {"name": "one", "text": "One"}})");
    const auto lists = checklists_in_force({{"monthly", monthly},
                                            {"daily", daily},
                                            {"a-month", own},
                                            {"weekly", parse_checklist("weekly", R"({"off": true})")}});
    ASSERT_EQ(lists.size(), 4U);
    EXPECT_EQ(lists[0].name, "daily");
    EXPECT_EQ(lists[0].zone.name(), "Europe/Berlin");
    EXPECT_EQ(lists[0].items, default_checklists()[0].items);
    EXPECT_EQ(lists[1].name, "a-month");
    EXPECT_EQ(lists[1].every, ChecklistRhythm::month);
    EXPECT_EQ(lists[2].name, "monthly");
    EXPECT_THAT(lists[2].items,
                ElementsAre(ChecklistItem{"look", "Look", std::nullopt, "https://wiki/look"}));
    EXPECT_EQ(lists[3].name, "quarterly");
}

struct Mistake {
    const char* name;
    const char* list;
    const char* json;
    const char* field;
    const char* hint = "";
};
class ChecklistMistakes : public testing::TestWithParam<Mistake> {};

TEST_P(ChecklistMistakes, AreRefusedByName) {
    try {
        parse_checklist(GetParam().list, GetParam().json);
        FAIL() << "was taken";
    } catch (const Error& error) {
        EXPECT_EQ(error.code(), ErrorCode::usage);
        EXPECT_EQ(error.field(), GetParam().field) << error.message();
        EXPECT_THAT(error.hint(), HasSubstr(GetParam().hint));
    }
}

const std::vector<Mistake> mistakes{
    {"NoRhythm", "own", R"({"item": {"name": "a", "text": "b"}})", "checklist.own.every", "quarter"},
    {"OtherRhythm", "own", R"({"every": "year", "item": {"name": "a", "text": "b"}})", "checklist.own.every",
     "day, week, month, quarter"},
    {"NoItems", "own", R"({"every": "day"})", "checklist.own.item", "[[checklist.own.item]]"},
    {"NoName", "daily", R"({"item": {"text": "b"}})", "checklist.daily.item.name"},
    {"OddName", "daily", R"({"item": {"name": "a b", "text": "b"}})", "checklist.daily.item.name", "digits"},
    {"NoText", "daily", R"({"item": {"name": "a"}})", "checklist.daily.item.text"},
    {"Twice", "daily", R"({"item": [{"name": "a", "text": "b"}, {"name": "a", "text": "c"}]})",
     "checklist.daily.item[1].name"},
    {"OtherCheck", "daily", R"({"item": [{"name": "a", "text": "b", "check": "weather"}]})",
     "checklist.daily.item[0].check", "backups, verification, retention"},
    {"OtherWord", "daily", R"({"tiem_zone": "UTC"})", "checklist.daily.tiem_zone"},
    {"OtherWordInItem", "daily", R"({"item": [{"name": "a", "text": "b", "chek": "log"}]})",
     "checklist.daily.item[0].chek"},
    {"OtherZone", "daily", R"({"time_zone": "Atlantis"})", "checklist.daily.time_zone", "Europe/Berlin"},
    {"OddList", "a/b", R"({"every": "day", "item": {"name": "a", "text": "b"}})", "checklist.a/b"},
    {"MistakeInOneThatIsOff", "daily", R"({"off": true, "item": {"name": "a"}})",
     "checklist.daily.item.text"},
};
INSTANTIATE_TEST_SUITE_P(Each, ChecklistMistakes, testing::ValuesIn(mistakes),
                         [](const auto& each) { return each.param.name; });

} // namespace
} // namespace holdfast
