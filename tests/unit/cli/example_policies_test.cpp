// The policies in examples/policies, each loaded as a user would, and ten years of it.
#include "cli/configuration.h"
#include "policy/retention_forecast.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace holdfast {
namespace {

using std::chrono::days;
using std::chrono::hours;
using testing::IsEmpty;

Configuration load(const std::string& name) {
    return load_configuration(std::string(HOLDFAST_TEST_DATA) + "/../examples/policies/" + name + ".toml");
}

// A source under its policy: its backups are made, its rules are applied each day at 01:00 UTC, and once a
// year somebody makes one by hand.
class Decade {
  public:
    Decade(const Policy& policy, const std::string& source) : policy_(policy) {
        for (const BackupPlan& plan : policy.backups) schedules_.push_back(policy.schedule_of(plan, source));
        next_.resize(schedules_.size());
        for (std::size_t i = 0; i < schedules_.size(); ++i) next_[i] = schedules_[i].next(start);
    }

    // Calls `look` with what there is after each day.
    template <typename Look>
    void run(Look&& look) {
        for (Timestamp now = start + days(1); now < end; now += days(1)) {
            make_until(now);
            if ((now - start) / days(1) % 365 == 100) add(now - hours(9), "manual", std::nullopt);
            const auto decisions = decide_retention(policy_.retention, living_, now);
            std::vector<RetentionSubject> left;
            for (std::size_t i = 0; i < living_.size(); ++i)
                if (decisions[i].keep) left.push_back(std::move(living_[i]));
            went_ += living_.size() - left.size();
            living_ = std::move(left);
            look(now, living_);
        }
    }
    std::size_t went() const { return went_; }

    static inline const Timestamp start = from_rfc3339("2026-01-01T01:00:00Z");
    static inline const Timestamp end = from_rfc3339("2036-01-01T01:00:00Z");

  private:
    void make_until(Timestamp now) {
        for (std::size_t i = 0; i < schedules_.size(); ++i) {
            for (; next_[i] && next_[i]->begin <= now; next_[i] = schedules_[i].next(next_[i]->nominal)) {
                const BackupPlan& plan = policy_.backups[i];
                add(next_[i]->begin, plan.class_name,
                    plan.keep ? std::optional(plan.keep->after(next_[i]->begin, policy_.zone))
                              : std::nullopt);
            }
        }
    }
    void add(Timestamp time, const std::string& class_name, std::optional<Timestamp> expires) {
        RetentionSubject subject;
        subject.id = to_rfc3339(time);
        subject.time = time;
        subject.end = time + std::chrono::minutes(5);
        subject.class_name = class_name;
        subject.expires = expires;
        subject.has_log = true;
        living_.push_back(std::move(subject));
    }

    const Policy& policy_;
    std::vector<Schedule> schedules_;
    std::vector<std::optional<Schedule::Run>> next_;
    std::vector<RetentionSubject> living_;
    std::size_t went_ = 0;
};

std::size_t of_class(const std::vector<RetentionSubject>& living, const std::string& class_name) {
    return static_cast<std::size_t>(std::ranges::count(living, class_name, &RetentionSubject::class_name));
}

// How many different months the snapshots are of.
std::size_t months_of(const std::vector<RetentionSubject>& living, const std::string& class_name) {
    std::set<std::string> months;
    for (const RetentionSubject& one : living)
        if (one.class_name == class_name) months.insert(one.id.substr(0, 7));
    return months.size();
}

class ExamplePolicies : public testing::TestWithParam<std::string> {};

TEST_P(ExamplePolicies, LoadsAndPromisesNothingItDoesNotKeep) {
    const Configuration configuration = load(GetParam());
    ASSERT_FALSE(configuration.policies.empty());
    for (const Policy& policy : configuration.policies)
        EXPECT_THAT(doubts_about(policy, Decade::start), IsEmpty());
    for (const auto& [name, source] : configuration.sources) {
        EXPECT_NE(policy_for(configuration.policies, name), nullptr) << name;
    }
}

TEST_P(ExamplePolicies, AtNoTimeIsThereLessThanIsPromised) {
    const Configuration configuration = load(GetParam());
    for (const auto& [name, source] : configuration.sources) {
        const Policy& policy = *policy_for(configuration.policies, name);
        Decade decade(policy, name);
        std::size_t most = 0;
        decade.run([&](Timestamp now, const std::vector<RetentionSubject>& living) {
            ASSERT_FALSE(living.empty());
            most = std::max(most, living.size());
            const auto newest = std::ranges::max_element(living, {}, &RetentionSubject::time);
            if (const auto& age = policy.objectives.backup_age) {
                ASSERT_LE(now - newest->time, age->longest()) << to_rfc3339(now);
            }
            const auto& window = policy.objectives.window;
            if (!window || now - Decade::start < window->longest() + days(2)) return;
            // There is one from which any second of the window is reached.
            ASSERT_TRUE(std::ranges::any_of(living, [&](const RetentionSubject& one) {
                return window->after(one.end, policy.zone) <= now;
            })) << to_rfc3339(now);
        });
        EXPECT_GT(decade.went(), 1000u) << name;
        EXPECT_LT(most, 300u) << name; // and not everything is kept
    }
}

INSTANTIATE_TEST_SUITE_P(All, ExamplePolicies, testing::Values("000", "001", "002", "003", "004"),
                         [](const auto& which) { return which.param; });

TEST(ExamplePolicies, All) {
    // Each file is one of those above.
    std::size_t files = 0;
    for (const auto& entry :
         std::filesystem::directory_iterator(std::string(HOLDFAST_TEST_DATA) + "/../examples/policies"))
        files += entry.path().extension() == ".toml";
    EXPECT_EQ(files, 5u);
}

// What each leaves after ten years, counted by hand.
TEST(ExamplePolicies, DaysWeeksMonthsAndYears) {
    const Configuration configuration = load("000");
    std::vector<RetentionSubject> last;
    Decade decade(configuration.policies.front(), "orders");
    decade.run([&](Timestamp, const std::vector<RetentionSubject>& living) { last = living; });
    // 31 December 2035: 30 days and the beginning of the window; of 12 weeks the 7 or 8 Sundays before them;
    // of the months before those ten or so; of seven years the 31 December of six before.
    EXPECT_EQ(of_class(last, "manual"), 1u);
    EXPECT_GE(of_class(last, "full"), 30u + 7 + 9 + 6);
    EXPECT_LE(of_class(last, "full"), 31u + 9 + 11 + 6);
    for (int year = 2029; year <= 2034; ++year) {
        const std::string eve = std::to_string(year) + "-12-31";
        EXPECT_TRUE(std::ranges::any_of(last, [&](const auto& one) { return one.id.starts_with(eve); }))
            << eve;
    }
    EXPECT_TRUE(std::ranges::none_of(last, [](const auto& one) { return one.id < "2028-12-31"; }));
}

TEST(ExamplePolicies, FullAndIncremental) {
    const Configuration configuration = load("004");
    std::vector<RetentionSubject> last;
    Decade decade(configuration.policies.front(), "orders");
    decade.run([&](Timestamp, const std::vector<RetentionSubject>& living) { last = living; });
    EXPECT_EQ(of_class(last, "incremental"), 7u * 24);
    EXPECT_GE(months_of(last, "full"), 12u + 6);
    // Made for a reason, and no rule of this policy lets them go.
    EXPECT_EQ(of_class(last, "manual"), 10u);
}

} // namespace
} // namespace holdfast
