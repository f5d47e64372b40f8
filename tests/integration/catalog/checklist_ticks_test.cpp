#include "catalog/checklist_ticks.h"
#include "catalog/migrations.h"
#include "integration/catalog/catalog_fixture.h"

#include <array>
#include <thread>

#include <gmock/gmock.h>

namespace holdfast {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::Pair;

class ChecklistTicksBase : public test::CatalogTest {
  protected:
    ChecklistTicks::Outcome add(const ChecklistTick& tick, Timestamp begin, Timestamp end) {
        ChecklistTicks::Outcome outcome;
        catalog->transaction([&](Database& database) { outcome = ticks.add(database, tick, begin, end); });
        return outcome;
    }
    ChecklistTick tick(const char* item, Timestamp at, const char* by = "anna") const {
        return {.list = "daily", .item = item, .at = at, .by = by, .note = "well"};
    }

    const Timestamp day = from_rfc3339("2026-11-20T00:00:00Z");
    const Timestamp next = from_rfc3339("2026-11-21T00:00:00Z");
    const Duration hour = std::chrono::hours(1);
    ChecklistTicks ticks{*catalog};
};
HOLDFAST_BOTH_DATABASES(ChecklistTicksBase);

TEST_P(ChecklistTicksBase, TheFirstOfAPeriodStays) {
    const ChecklistTick first = tick("contacts", day + hour);
    EXPECT_TRUE(add(first, day, next).is_new);
    const auto second = add(tick("contacts", day + 2 * hour, "bert"), day, next);
    EXPECT_FALSE(second.is_new);
    EXPECT_EQ(second.there, first);
    // Of another item, another list, another period.
    const ChecklistTick itself{.list = "daily", .item = "backups", .at = day + 3 * hour, .note = "7 of 7"};
    EXPECT_TRUE(add(itself, day, next).is_new);
    ChecklistTick other = first;
    other.list = "weekly";
    EXPECT_TRUE(add(other, day, next).is_new);
    EXPECT_TRUE(add(tick("contacts", next), next, next + 24 * hour).is_new);
    EXPECT_THAT(ticks.list("daily", day, next), ElementsAre(first, itself));
    EXPECT_THAT(ticks.list("daily", day, next + hour), ElementsAre(first, itself, tick("contacts", next)));
    EXPECT_THAT(ticks.list("monthly", day, next), IsEmpty());
}

TEST_P(ChecklistTicksBase, AnotherTimeZoneDoesNotMakeItDueAgain) {
    const ChecklistTick first = tick("contacts", day + hour);
    EXPECT_TRUE(add(first, day, next).is_new);
    EXPECT_EQ(add(tick("contacts", day + 2 * hour), day - hour, next - hour).there, first);
    EXPECT_TRUE(add(tick("contacts", next - hour), next - hour, next + 23 * hour).is_new);
}

TEST_P(ChecklistTicksBase, OfSeveralThatComeTogetherOneStays) {
    std::array<ChecklistTicks::Outcome, 8> outcomes;
    {
        std::vector<std::jthread> threads;
        for (std::size_t i = 0; i < outcomes.size(); ++i)
            threads.emplace_back([&, i] {
                const std::string name = "token " + std::to_string(i);
                outcomes[i] = add(tick("contacts", day + hour, name.c_str()), day, next);
            });
    }
    EXPECT_EQ(std::ranges::count(outcomes, true, &ChecklistTicks::Outcome::is_new), 1);
    const auto there = ticks.list("daily", day, next);
    ASSERT_EQ(there.size(), 1U);
    for (const auto& outcome : outcomes) EXPECT_EQ(outcome.there, there.front());
}

TEST_P(ChecklistTicksBase, RemembersSinceWhenItemsAreKnown) {
    EXPECT_THAT(ticks.known_since("daily"), IsEmpty());
    ticks.remember("daily", {"log"}, day);
    ticks.remember("daily", {"log", "alerts"}, next);
    EXPECT_THAT(ticks.known_since("daily"), ElementsAre(Pair("alerts", next), Pair("log", day)));
    EXPECT_THAT(ticks.known_since("weekly"), IsEmpty());
}

// As a server of the version before left it.
TEST_P(ChecklistTicksBase, ACatalogOfTheVersionBeforeGetsTheTables) {
    catalog->with([](Database& database) {
        database.execute("DROP TABLE checklist_ticks; DROP TABLE checklist_items");
        database.query("UPDATE catalog_version SET version = 7");
        migrate(database);
        EXPECT_EQ(single_number(database.query("SELECT version FROM catalog_version")), catalog_version());
    });
    EXPECT_TRUE(add(tick("contacts", day), day, next).is_new);
}

} // namespace
} // namespace holdfast
