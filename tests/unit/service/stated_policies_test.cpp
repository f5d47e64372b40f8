// Policies that the repository has as statements, and retention by them.
#include "service/stated_policies.h"
#include "support/error_matchers.h"
#include "unit/service/retention_fixture.h"

#include <gmock/gmock.h>

namespace holdfast {
namespace {

using test::expect_error;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

class StatedPoliciesTest : public RetentionTest {
  protected:
    static Policy keeping(const std::string& name, const std::string& retention,
                          const std::string& source = "documents") {
        return parse_policy(name, R"({"sources": [")" + source + R"("], "retention": )" + retention + "}");
    }
    StatementId state(const std::string& name, const std::optional<Policy>& policy) {
        return state_policy(*repository, list_statements(repository->context()), name, policy);
    }
    std::vector<std::string> stated() {
        std::vector<std::string> bodies;
        for (const StatedPolicy& one : stated_policies(list_statements(repository->context())).policies)
            bodies.push_back(one.policy.name + " " + retention_json(one.policy.retention));
        return bodies;
    }
    void put(const std::string& name, const std::string& value) {
        Statement statement;
        statement.type = StatementType::policy;
        statement.name = name;
        statement.value = value;
        put_statement(repository->context(), statement);
    }
};

TEST_F(StatedPoliciesTest, TheLastWordCounts) {
    EXPECT_THAT(stated(), IsEmpty());
    state("b", keeping("b", R"({"last": 1})", "x"));
    state("a", keeping("a", R"({"last": 2})"));
    EXPECT_THAT(stated(), ElementsAre(R"(a {"last":2})", R"(b {"last":1})"));
    // Also behind one that was said by a clock that was ahead.
    clock.advance(std::chrono::days(10));
    state("a", keeping("a", R"({"last": 3})"));
    clock.set_time_of_day(from_rfc3339("2026-11-02T00:00:00Z"));
    state("a", keeping("a", R"({"last": 4})"));
    state("b", std::nullopt);
    EXPECT_THAT(stated(), ElementsAre(R"(a {"last":4})"));
    EXPECT_THAT(list_statements(repository->context()).problems, IsEmpty());
}

TEST_F(StatedPoliciesTest, RetentionGoesByThemWithoutAConfiguration) {
    const auto snapshots = back_up_daily("documents", 4);
    back_up_daily("others", 2);
    hold_snapshot(*repository, snapshots[0], "case 4711", "legal");
    state("p", keeping("p", R"({"last": 2})"));
    const RetentionResult result = enforce();
    EXPECT_EQ(result.policies, 1U);
    EXPECT_EQ(result.sources.at(0).policy, "p");
    EXPECT_THAT(result.uncovered, ElementsAre("others"));
    EXPECT_THAT(left(), ElementsAre(snapshots[0].id, snapshots[2].id, snapshots[3].id));
    EXPECT_THAT(left("others"), SizeIs(2));
    // Taken back, nothing goes any more.
    state("p", std::nullopt);
    EXPECT_EQ(enforce().policies, 0U);
    EXPECT_THAT(left(), SizeIs(3));
}

TEST_F(StatedPoliciesTest, WhatIsDeclaredGoesBeforeWhatIsStatedUnderItsName) {
    back_up_daily("documents", 4);
    state("p", keeping("p", R"({"last": 1})"));
    policies = policy(R"({"last": 3})");
    EXPECT_EQ(enforce().forgotten(), 1U);
    EXPECT_THAT(left(), SizeIs(3));
}

TEST_F(StatedPoliciesTest, NothingGoesOfASourceThatTwoContradictEachOtherAbout) {
    back_up_daily("documents", 3);
    back_up_daily("others", 3);
    state("q", keeping("q", R"({"last": 1})", "*"));
    policies = {keeping("p", R"({"last": 2})", "docu*"), keeping("o", R"({"last": 1})", "others")};
    const RetentionResult result = enforce();
    EXPECT_THAT(result.problems, ElementsAre(HasSubstr("both cover the source 'documents'")));
    EXPECT_THAT(left(), SizeIs(3));
    EXPECT_THAT(left("others"), SizeIs(1));
}

TEST_F(StatedPoliciesTest, NothingGoesWhileOneIsDamagedMissingOrNotUnderstood) {
    const auto snapshots = back_up_daily("documents", 3);
    policies = policy(R"({"last": 1})");
    const StatementId first = state("long", keeping("long", R"({"last": 100})", "documents"));
    state("other", keeping("other", R"({"last": 1})", "x"));
    const std::string name = statement_name(first.slot, first.number);
    const Bytes whole = *store->get(name, {}, {});
    Bytes damaged = whole;
    damaged[damaged.size() / 2] ^= 1;
    store->put(name, damaged);
    expect_error(ErrorCode::corrupt, [&] { enforce(); }, "or a policy");
    EXPECT_THAT(left(), SizeIs(3));
    store->put(name, whole);
    // It names the source, and the declared one a pattern.
    EXPECT_EQ(enforce().forgotten(), 0U);
    put("newer", R"({"sources": ["documents"], "retention": {"phase_of_moon": 3}})");
    expect_error(ErrorCode::corrupt, [&] { enforce(); }, "'newer' is not understood");
    EXPECT_THAT(enforce(true).problems, ElementsAre(HasSubstr("'newer' is not understood")));
    EXPECT_THAT(left(), SizeIs(3));
    // Said anew in words that are understood, it is over.
    state("newer", std::nullopt);
    EXPECT_THAT(enforce().problems, IsEmpty());
    store->remove(name, {});
    expect_error(ErrorCode::corrupt, [&] { enforce(); }, "missing or was replaced");
    EXPECT_THAT(left(), SizeIs(3));
}

TEST_F(StatedPoliciesTest, CountOnlyFromWhoMayForget) {
    back_up_daily("documents", 3);
    const Credential reader = Credential::key_file(key_file_of(9));
    {
        Unlocked admin = unlock(*store, passphrase(), {});
        KeySlots slots(*store, clock, random, admin);
        NewSlot slot;
        slot.label = "reader";
        slot.role = Role::read;
        slot.credential = &reader;
        slots.add(slot);
    }
    repository = open(reader);
    expect_error(ErrorCode::access_denied, [&] { state("p", keeping("p", R"({"last": 1})")); });
    // Said all the same, by a program that is not ours.
    put("p", R"({"sources": ["*"], "retention": {"last": 1}})");
    repository = open(passphrase());
    const RetentionResult result = enforce();
    EXPECT_THAT(result.problems, ElementsAre(HasSubstr("sets a policy, and its writer may not forget")));
    EXPECT_EQ(result.policies, 0U);
    EXPECT_THAT(left(), SizeIs(3));
    EXPECT_THAT(stated(), IsEmpty());
}

TEST_F(StatedPoliciesTest, ATooLongOneIsRefused) {
    std::string sources;
    for (int i = 0; i < 10'000; ++i)
        sources += (i == 0 ? "\"source-" : ",\"source-") + std::to_string(i) + "\"";
    const Policy huge = parse_policy("p", R"({"sources": [)" + sources + "]}");
    expect_error(ErrorCode::usage, [&] { state("p", huge); }, "128 KiB");
    EXPECT_THAT(stated(), IsEmpty());
}

} // namespace
} // namespace holdfast
