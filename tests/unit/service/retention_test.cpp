// Rules applied to a repository whose clock, and that of its store, tests decide.

#include "policy/policy_form.h"
#include "service/backup_documents.h"
#include "service/clock_check.h"
#include "service/retention.h"
#include "service/verify.h"
#include "store/memory_store.h"
#include "support/error_matchers.h"
#include "support/repository_fixture.h"
#include "support/scratch_directory.h"

#include <filesystem>
#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

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

class RetentionTest : public testing::Test {
  protected:
    RetentionTest() {
        MemoryStoreSettings settings;
        settings.capabilities.versions = false;
        settings.clock = &store_clock;
        store = std::make_shared<MemoryStore>(settings);
        InitOptions options;
        options.cost = cheap_cost;
        options.capabilities = store->capabilities();
        create_repository(*store, clock, random, passphrase(), options);
        repository = open(passphrase());
        std::filesystem::create_directories(scratch.file("source"));
        std::ofstream(scratch.file("source/file")) << "content";
    }

    static Credential passphrase() { return Credential::passphrase(text_secret("open sesame")); }
    std::unique_ptr<Repository> open(const Credential& credential) {
        return std::make_unique<Repository>(store, unlock(*store, credential, {}),
                                            LocalDirectories{scratch.file("cache"), scratch.path().string()},
                                            clock, random, silent_logger());
    }
    void pass(Duration time) {
        clock.advance(time);
        store_clock.advance(time);
    }
    Snapshot back_up(const std::string& source, std::map<std::string, std::string> tags = {}) {
        DocumentsBackup backup;
        backup.run.source = source;
        backup.run.tags = std::move(tags);
        backup.run.beat_interval = Duration::zero();
        backup.paths = {scratch.file("source")};
        Progress progress;
        return back_up_documents(*repository, backup, progress, {}).report.snapshot;
    }
    // One a day.
    std::vector<Snapshot> back_up_daily(const std::string& source, int count) {
        std::vector<Snapshot> snapshots;
        for (int day = 0; day < count; ++day) {
            pass(days(1));
            snapshots.push_back(back_up(source));
        }
        return snapshots;
    }
    std::vector<RunId> left(const std::string& source = "documents") {
        std::vector<RunId> ids;
        for (const Snapshot& snapshot : list_snapshots(repository->context()).snapshots)
            if (snapshot.source == source) ids.push_back(snapshot.id);
        return ids;
    }
    RetentionResult enforce(bool dry_run = false) {
        return enforce_retention(*repository, policies, std::nullopt, dry_run, {});
    }
    static std::vector<Policy> policy(const char* retention, const char* sources = "\"*\"") {
        return {parse_policy("p", std::string(R"({"sources": )") + sources + R"(, "retention": )" +
                                      retention + "}")};
    }

    test::ScratchDirectory scratch;
    FakeClock clock{from_rfc3339("2026-11-01T03:00:00Z")};
    FakeClock store_clock{from_rfc3339("2026-11-01T03:00:00Z")};
    SeededRandom random{4711};
    std::shared_ptr<MemoryStore> store;
    std::unique_ptr<Repository> repository;
    std::vector<Policy> policies;
};

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
    enforce_retention(*repository, policies, "others", false, {});
    EXPECT_THAT(left(), SizeIs(3));
    EXPECT_THAT(left("others"), SizeIs(1));
    expect_error(
        ErrorCode::not_found, [&] { enforce_retention(*repository, policies, "none", false, {}); }, "'none'");
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
    Statement statement;
    statement.snapshot = snapshots[2].id;
    statement.type = StatementType::verification;
    statement.time = clock.now();
    statement.name = "content";
    statement.value = "damaged";
    put_statement(repository->context(), statement);
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
    // Both are before the newest snapshot.
    clock.set_time_of_day(from_rfc3339("2026-11-02T00:00:00Z"));
    store_clock.set_time_of_day(from_rfc3339("2026-11-02T00:00:00Z"));
    expect_error(ErrorCode::unavailable, [&] { enforce(); }, "there is a snapshot of 2026-11-04");
    EXPECT_THAT(left(), SizeIs(3));
    // Nothing is left of asking the store.
    EXPECT_THAT(store->list_all("probe/"), IsEmpty());
    clock.set_time_of_day(from_rfc3339("2026-12-04T00:30:00Z"));
    store_clock.set_time_of_day(from_rfc3339("2026-12-04T00:00:00Z"));
    EXPECT_EQ(enforce().forgotten(), 2u);
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
    hold_snapshot(*repository, snapshots[0], "one", "legal");
    hold_snapshot(*repository, snapshots[0], "two", "audit");
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
