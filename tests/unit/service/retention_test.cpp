// Rules applied to a repository whose clock, and that of its store, tests decide.

#include "service/clock_check.h"
#include "service/measure.h"
#include "service/snapshot_json.h"
#include "service/verify.h"
#include "support/error_matchers.h"
#include "unit/service/retention_fixture.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

namespace holdfast {
namespace {

using std::chrono::days;
using std::chrono::hours;
using test::error_of;
using test::expect_error;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;
using testing::UnorderedElementsAre;

TEST_F(RetentionTest, ForgetsWhatNoRuleKeeps) {
    const auto snapshots = back_up_daily("documents", 5);
    policies = policy(R"({"last": 2})");
    const RetentionResult dry = enforce(true);
    EXPECT_EQ(dry.forgotten(), 3u);
    EXPECT_THAT(left(), SizeIs(5));
    const RetentionResult result = enforce();
    EXPECT_EQ(result.forgotten(), 3u);
    ASSERT_THAT(result.sources, SizeIs(1));
    EXPECT_EQ(result.sources[0].policy, "p");
    EXPECT_TRUE(result.sources[0].verdicts[0].forgotten);
    EXPECT_THAT(result.sources[0].verdicts[0].decision.reasons, ElementsAre("no rule keeps it"));
    EXPECT_THAT(left(), ElementsAre(snapshots[3].id, snapshots[4].id));
    EXPECT_EQ(enforce().forgotten(), 0u);
}

TEST_F(RetentionTest, TouchesNoSourceWithoutAPolicy) {
    back_up_daily("documents", 3);
    back_up_daily("others", 3);
    policies = policy(R"({"last": 1})", "\"documents\"");
    const RetentionResult result = enforce();
    EXPECT_THAT(result.uncovered, ElementsAre("others"));
    EXPECT_THAT(left(), SizeIs(1));
    EXPECT_THAT(left("others"), SizeIs(3));
}

TEST_F(RetentionTest, ASourceCanBeNamed) {
    back_up_daily("documents", 3);
    back_up_daily("others", 3);
    policies = policy(R"({"last": 1})");
    const auto enforce_for = [&](const char* source) {
        return enforce_retention(*repository, policies, {.source = source, .dry_run = false, .trust = {}},
                                 {});
    };
    enforce_for("others");
    EXPECT_THAT(left(), SizeIs(3));
    EXPECT_THAT(left("others"), SizeIs(1));
    expect_error(ErrorCode::not_found, [&] { enforce_for("none"); }, "'none'");
}

TEST_F(RetentionTest, HoldsClassesAndTimesToLiveAreReadFromStatements) {
    auto snapshots = back_up_daily("documents", 4);
    snapshots.push_back(back_up("documents", {{"class", "forensic"}}));
    snapshots.push_back(back_up("documents", {{"expires", "2026-11-07T00:00:00Z"}}));
    pass(hours(1));
    snapshots.push_back(back_up("documents"));
    hold_snapshot(*repository, snapshots[0], "case 4711", "legal");
    set_tags(*repository, snapshots[1], {{"class", "manual"}}, {});
    policies = policy(R"({"last": 1})");
    const RetentionResult result = enforce();
    EXPECT_THAT(left(), UnorderedElementsAre(snapshots[0].id, snapshots[1].id, snapshots[4].id,
                                             snapshots[5].id, snapshots[6].id));
    EXPECT_THAT(result.sources[0].verdicts[0].decision.reasons, ElementsAre("held: case 4711 (legal)"));
    pass(days(5));
    release_holds(*repository, snapshots[0], "", "closed");
    set_tags(*repository, snapshots[1], {}, {"class"});
    set_tags(*repository, snapshots[4], {{"class", "other"}}, {});
    enforce();
    EXPECT_THAT(left(), ElementsAre(snapshots[6].id));
}

TEST_F(RetentionTest, WhatVerificationFoundDamagedIsNotTheLastGoodOne) {
    const auto snapshots = back_up_daily("documents", 3);
    say_verified(snapshots[2], "content", "damaged");
    policies = policy(R"({"last": 1})");
    enforce();
    EXPECT_THAT(left(), ElementsAre(snapshots[1].id, snapshots[2].id));
}

TEST_F(RetentionTest, AnExpiryThatIsNoTimeIsToldAndKeeps) {
    back_up_daily("documents", 1);
    const Snapshot odd = back_up("documents", {{"expires", "soon"}});
    pass(hours(1));
    const Snapshot newest = back_up("documents");
    policies = policy(R"({"last": 1})");
    const RetentionResult result = enforce();
    EXPECT_THAT(result.problems, ElementsAre(HasSubstr("its tag expires is no time")));
    EXPECT_THAT(left(), UnorderedElementsAre(odd.id, newest.id));
}

TEST_F(RetentionTest, RefusesToDeleteByAClockThatIsWrong) {
    back_up_daily("documents", 3);
    policies = policy(R"({"within": "7d"})");
    // The store's clock is right, ours has run off into the future.
    clock.advance(days(30));
    expect_error(ErrorCode::unavailable, [&] { enforce(); }, "the clock of this machine shows 2026-12-04");
    EXPECT_THAT(left(), SizeIs(3));
    // Both are before the newest snapshot of a source: that one keeps all, the others do not.
    clock.set_time_of_day(from_rfc3339("2026-11-02T06:00:00Z"));
    store_clock.set_time_of_day(from_rfc3339("2026-11-02T06:00:00Z"));
    const RetentionResult result = enforce();
    EXPECT_EQ(result.forgotten(), 0u);
    EXPECT_THAT(result.problems, ElementsAre(HasSubstr("and it is 2026-11-02T06:00:00Z here")));
    EXPECT_THAT(left(), SizeIs(3));
    // Nothing was backed up for longer than one would notice.
    clock.set_time_of_day(from_rfc3339("2027-01-04T00:30:00Z"));
    store_clock.set_time_of_day(from_rfc3339("2027-01-04T00:00:00Z"));
    expect_error(ErrorCode::unavailable, [&] { enforce(); }, "the newest snapshot is of 2026-11-04");
    EXPECT_EQ(enforce(true).forgotten(), 2u);
    expect_error(ErrorCode::unavailable, [&] { enforce_with({.clock = true}); }, "the newest snapshot is of");
    expect_error(ErrorCode::unavailable, [&] { enforce_with({.idle = true}); }, "has leapt forward");
    EXPECT_EQ(enforce_with({.clock = true, .idle = true}).forgotten(), 2u);
    // Nothing is left of asking the store.
    EXPECT_THAT(store->list_all("probe/"), IsEmpty());
}

// The clock of a machine fell back for a while: ages are not known, and nothing goes.
TEST_F(RetentionTest, TimesThatGoBackwardsKeepTheirSource) {
    back_up_daily("documents", 3);
    clock.set_time_of_day(from_rfc3339("2026-11-02T12:00:00Z"));
    const Snapshot newest = back_up("documents");
    clock.set_time_of_day(from_rfc3339("2026-11-06T00:00:00Z"));
    store_clock.set_time_of_day(from_rfc3339("2026-11-06T00:00:00Z"));
    policies = policy(R"({"last": 1})");
    const RetentionResult result = enforce();
    EXPECT_THAT(result.problems, ElementsAre(HasSubstr("a clock was wrong")));
    EXPECT_THAT(left(), SizeIs(4));
    EXPECT_THAT(result.sources.at(0).blocked, HasSubstr(newest.id.hex()));
}

// A look at less does not take back what a closer look has found.
TEST_F(RetentionTest, DamageIsTakenBackByALookAsCloseOnly) {
    const auto snapshots = back_up_daily("documents", 2);
    policies = policy(R"({"last": 1})");
    const auto say = [&](const char* what, const char* result) {
        say_verified(snapshots[1], what, result);
        return enforce(true).forgotten();
    };
    EXPECT_EQ(say("content", "damaged"), 0u);
    EXPECT_EQ(say("structure", "intact"), 0u);
    EXPECT_EQ(say("digests of 50% of the packs", "intact"), 0u);
    EXPECT_EQ(say("digests", "intact"), 1u);
    EXPECT_EQ(say("structure", "damaged"), 0u);
    EXPECT_EQ(say("content", "intact"), 1u);
}

// Whoever asks is told what stands, not what was said last.
TEST_F(RetentionTest, AGlanceAfterDamageIsNoNews) {
    const auto snapshots = back_up_daily("documents", 2);
    const auto seen = [&] { return measure(*repository, {}, {}, {}); };
    say_verified(snapshots[0], "content", "damaged");
    const std::string found = to_rfc3339(clock.now());
    say_verified(snapshots[0], "structure", "intact");
    say_verified(snapshots[1], "structure", "intact");
    ProtectionStatus status = seen();
    EXPECT_TRUE(is_damaged(status.snapshots[1].standing));
    EXPECT_EQ(to_json(status.snapshots[1])["verified"],
              (nlohmann::json{{"time", found}, {"what", "content"}, {"result", "damaged"}}));
    EXPECT_EQ(to_json(status.snapshots[0])["verified"]["result"], "intact");
    const VerificationFacts facts = status.sources[0].facts.verification.value();
    EXPECT_EQ(facts.time, clock.now());
    EXPECT_FALSE(facts.good);
    EXPECT_EQ(facts.problem,
              fmt::format("snapshot {} was found damaged at {}", snapshots[0].id.hex(), found));
    say_verified(snapshots[0], "content", "intact");
    status = seen();
    EXPECT_EQ(to_json(status.snapshots[1])["verified"]["result"], "intact");
    EXPECT_TRUE(status.sources[0].facts.verification->good);
}

// Who can only read may say much, but nothing that lets a snapshot go.
TEST_F(RetentionTest, AReaderLetsNothingGo) {
    const auto snapshots = back_up_daily("documents", 3);
    hold_snapshot(*repository, snapshots[0], "case 4711", "legal");
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
    const auto own = std::move(repository);
    repository = open(reader);
    expect_error(ErrorCode::access_denied, [&] { release_holds(*repository, snapshots[0], "", ""); });
    expect_error(ErrorCode::access_denied,
                 [&] { set_tags(*repository, snapshots[1], {{"expires", "2026-01-01T00:00:00Z"}}, {}); });
    expect_error(ErrorCode::access_denied, [&] { enforce(); }, "may not forget");
    set_tags(*repository, snapshots[1], {{"note", "seen"}}, {});
    // Said all the same, by a program that is not ours.
    const auto say = [&](StatementType type, const Snapshot& about, const char* name, const char* value) {
        Statement statement;
        statement.snapshot = about.id;
        statement.type = type;
        statement.time = clock.now() + hours(1);
        statement.name = name;
        if (value != nullptr) statement.value = value;
        if (type == StatementType::release)
            statement.releases = list_annotated(*repository).snapshots.at(0).standing.holds.at(0).id;
        put_statement(repository->context(), statement);
    };
    say(StatementType::release, snapshots[0], "", nullptr);
    say(StatementType::tag, snapshots[1], "expires", "2026-01-01T00:00:00Z");
    repository = open(passphrase());
    policies = policy(R"({"daily": 10})");
    const RetentionResult result = enforce();
    EXPECT_EQ(result.forgotten(), 0u);
    EXPECT_THAT(result.problems, ElementsAre(HasSubstr("its writer may not forget snapshots")));
    EXPECT_THAT(left(), SizeIs(3));
    expect_error(
        ErrorCode::usage, [&] { forget_snapshot(repository->context(), snapshots[0].id, false); },
        "case 4711");
}

TEST_F(RetentionTest, SeveralOwnersMustBeNamed) {
    const auto snapshots = back_up_daily("documents", 2);
    hold_snapshot(*repository, snapshots[0], "one", "legal");
    hold_snapshot(*repository, snapshots[0], "two", "audit");
    expect_error(ErrorCode::usage, [&] { release_holds(*repository, snapshots[0], "", ""); }, "2 owners");
}

// A tag that a machine with a clock ahead has set can be set again.
TEST_F(RetentionTest, TheLastWordCountsWhateverTheClocks) {
    const Snapshot snapshot = back_up("documents");
    clock.advance(days(10));
    set_tags(*repository, snapshot, {{"a", "ahead"}}, {});
    clock.set_time_of_day(from_rfc3339("2026-11-02T00:00:00Z"));
    set_tags(*repository, snapshot, {{"a", "last"}}, {});
    EXPECT_EQ(list_annotated(*repository).snapshots.at(0).standing.tags.at("a"), "last");
}

TEST_F(RetentionTest, RefusesToDeleteWhileAStatementCannotBeRead) {
    const auto snapshots = back_up_daily("documents", 3);
    hold_snapshot(*repository, snapshots[0], "case 4711", "");
    const std::string name = store->list_all(std::string(statements_prefix)).front().name;
    Bytes bytes = *store->get(name, {}, {});
    bytes[bytes.size() / 2] ^= 1;
    store->corrupt(name, bytes);
    policies = policy(R"({"last": 1})");
    expect_error(ErrorCode::corrupt, [&] { enforce(); }, "may have been a hold");
    EXPECT_THAT(left(), SizeIs(3));
}

TEST_F(RetentionTest, TagsThatMeanSomethingMustMakeSense) {
    const Snapshot snapshot = back_up("documents");
    expect_error(
        ErrorCode::usage, [&] { set_tags(*repository, snapshot, {{"a", "b"}, {"expires", "soon"}}, {}); },
        "expires");
    expect_error(ErrorCode::usage, [&] { set_tags(*repository, snapshot, {{"class", ""}}, {}); }, "class");
    expect_error(ErrorCode::usage, [&] { hold_snapshot(*repository, snapshot, "", ""); }, "reason");
    EXPECT_THAT(store->list_all(std::string(statements_prefix)), IsEmpty());
    set_tags(*repository, snapshot, {{"a", "b"}, {"c", "d"}}, {});
    set_tags(*repository, snapshot, {{"a", "e"}}, {"c"});
    const AnnotatedList list = list_annotated(*repository);
    ASSERT_THAT(list.snapshots, SizeIs(1));
    EXPECT_THAT(list.snapshots[0].standing.tags, ElementsAre(testing::Pair("a", "e")));
}

TEST_F(RetentionTest, HoldsAreReleasedByOwner) {
    const auto snapshots = back_up_daily("documents", 2);
    const Statement one = hold_snapshot(*repository, snapshots[0], "one", "legal");
    const Statement two = hold_snapshot(*repository, snapshots[0], "two", "audit");
    EXPECT_NE(hold_id(one), hold_id(two));
    // For the same reason it is held once, and by its id it is known.
    EXPECT_EQ(hold_id(hold_snapshot(*repository, snapshots[0], "one", "legal")), hold_id(one));
    const Statement three = hold_snapshot(*repository, snapshots[0], "three", "legal");
    EXPECT_THAT(release_holds(*repository, snapshots[0], hold_id(three), ""), SizeIs(1));
    EXPECT_THAT(release_holds(*repository, snapshots[0], "nobody", ""), IsEmpty());
    EXPECT_THAT(release_holds(*repository, snapshots[0], "legal", "closed"), SizeIs(1));
    expect_error(
        ErrorCode::usage, [&] { forget_snapshot(repository->context(), snapshots[0].id, false); }, "two");
    EXPECT_THAT(release_holds(*repository, snapshots[0], "", ""), SizeIs(1));
    forget_snapshot(repository->context(), snapshots[0].id, false);
    EXPECT_THAT(left(), ElementsAre(snapshots[1].id));
}

} // namespace
} // namespace holdfast
