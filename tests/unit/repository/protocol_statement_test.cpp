#include "base/error.h"
#include "repository/protocol/protocol_object.h"
#include "repository/protocol/statement.h"
#include "repository/protocol/writer_session.h"
#include "support/repository_fixture.h"

#include <gtest/gtest.h>

namespace holdfast {
namespace {

class StatementTest : public RepositoryTest {
  protected:
    RepositoryContext context{store, admin->ring, admin->trust, clock, random, {}};

    Snapshot commit(const std::string& source) {
        RunContext run = admin->ring.begin_run(random);
        Snapshot snapshot;
        snapshot.id = run.id();
        snapshot.source = source;
        snapshot.kind = "documents";
        snapshot.time = snapshot.end = clock.now();
        snapshot.tags = {{"color", "red"}};
        snapshot.root.location = {{{run.id(), 0, metadata_pack, 0}, 0}, 0, 1};
        WriterSession::begin(context, run, "test", Duration::zero())->commit(snapshot);
        clock.advance(std::chrono::seconds(1));
        return snapshot;
    }
    StatementId say(const Snapshot& about, StatementType type, const std::string& name,
                    std::optional<std::string> value = {}, std::optional<StatementId> releases = {}) {
        Statement statement;
        statement.snapshot = about.id;
        statement.type = type;
        statement.name = name;
        statement.value = std::move(value);
        statement.releases = releases;
        clock.advance(std::chrono::seconds(1));
        return put_statement(context, statement);
    }
    Standing standing(const Snapshot& snapshot) {
        return standing_of(snapshot, list_statements(context).statements);
    }
};

TEST_F(StatementTest, AreNumberedAndChained) {
    const Snapshot snapshot = commit("home");
    say(snapshot, StatementType::tag, "a", "1");
    say(snapshot, StatementType::mark, "b", "2");
    const StatementList list = list_statements(context);
    ASSERT_EQ(list.statements.size(), 2u);
    EXPECT_TRUE(list.problems.empty());
    EXPECT_EQ(list.statements[0].id, (StatementId{admin->ring.slot(), 0}));
    EXPECT_EQ(list.statements[1].id, (StatementId{admin->ring.slot(), 1}));
    EXPECT_FALSE(list.statements[0].previous);
    EXPECT_TRUE(list.statements[1].previous);
}

TEST_F(StatementTest, TheLaterTagCountsAndCanTakeAway) {
    const Snapshot snapshot = commit("home");
    EXPECT_EQ(standing(snapshot).tags, (std::map<std::string, std::string>{{"color", "red"}}));
    say(snapshot, StatementType::tag, "color", "blue");
    say(snapshot, StatementType::tag, "\xff", "odd");
    EXPECT_EQ(standing(snapshot).tags,
              (std::map<std::string, std::string>{{"color", "blue"}, {"\xff", "odd"}}));
    say(snapshot, StatementType::tag, "color");
    EXPECT_EQ(standing(snapshot).tags, (std::map<std::string, std::string>{{"\xff", "odd"}}));
    EXPECT_EQ(standing(commit("other")).tags, (std::map<std::string, std::string>{{"color", "red"}}));
}

TEST_F(StatementTest, AHoldKeepsASnapshotUntilItIsReleased) {
    const Snapshot first = commit("home");
    commit("home");
    const StatementId audit = say(first, StatementType::hold, "audit");
    const StatementId trial = say(first, StatementType::hold, "trial");
    EXPECT_EQ(code_of([&] { forget_snapshot(context, first.id, false); }), ErrorCode::usage);
    say(first, StatementType::release, "", {}, audit);
    ASSERT_EQ(standing(first).holds.size(), 1u);
    EXPECT_EQ(standing(first).holds[0].name, "trial");
    EXPECT_EQ(code_of([&] { forget_snapshot(context, first.id, true); }), ErrorCode::usage);
    say(first, StatementType::release, "", {}, trial);
    forget_snapshot(context, first.id, false);
    EXPECT_EQ(list_snapshots(context).snapshots.size(), 1u);
    EXPECT_EQ(list_snapshots(context).forgotten, std::vector<RunId>{first.id});
}

TEST_F(StatementTest, AHoldOnASourceHoldsAllOfItsSnapshots) {
    const Snapshot first = commit("home");
    commit("home");
    Statement statement;
    statement.source = "home";
    statement.type = StatementType::hold;
    statement.name = "lawsuit";
    put_statement(context, statement);
    EXPECT_EQ(code_of([&] { forget_snapshot(context, first.id, false); }), ErrorCode::usage);
}

TEST_F(StatementTest, TheLastOfASourceIsForgottenOnlyWhenMeant) {
    const Snapshot only = commit("home");
    commit("elsewhere");
    EXPECT_EQ(code_of([&] { forget_snapshot(context, only.id, false); }), ErrorCode::usage);
    forget_snapshot(context, only.id, true);
    EXPECT_EQ(code_of([&] { forget_snapshot(context, only.id, true); }), ErrorCode::not_found);
}

TEST_F(StatementTest, OfSeveralNoneIsForgottenWhenOneMayNotBe) {
    const Snapshot first = commit("home");
    const Snapshot second = commit("home");
    const Snapshot held = commit("home");
    say(held, StatementType::hold, "audit");
    RunId unknown = first.id;
    unknown.bytes[0] ^= 1;
    EXPECT_EQ(code_of([&] { forget_snapshots(context, {first.id, held.id}, true); }), ErrorCode::usage);
    EXPECT_EQ(code_of([&] { forget_snapshots(context, {first.id, unknown}, false); }), ErrorCode::not_found);
    const Snapshot other = commit("elsewhere");
    const Snapshot last = commit("elsewhere");
    EXPECT_EQ(code_of([&] { forget_snapshots(context, {other.id, last.id}, false); }), ErrorCode::usage)
        << "together they are all of their source";
    EXPECT_TRUE(list_names(store, forgets_prefix).empty());
    forget_snapshots(context, {first.id, second.id, other.id}, false);
    EXPECT_EQ(list_names(store, forgets_prefix).size(), 3u);
}

TEST_F(StatementTest, AMissingOrReplacedOneIsNoticed) {
    const Snapshot snapshot = commit("home");
    for (const char* name : {"a", "b", "c"}) say(snapshot, StatementType::tag, name, "1");
    const std::string withheld = statement_name(admin->ring.slot(), 1);
    const Bytes kept = store.objects.at(withheld);
    store.objects.erase(withheld);
    EXPECT_EQ(list_statements(context).problems.size(), 1u);
    EXPECT_EQ(list_statements(context).statements.size(), 2u);
    store.objects[withheld] = kept;
    EXPECT_TRUE(list_statements(context).problems.empty());
    store.objects[withheld][200] ^= 1;
    // Itself, and the one behind it that has nothing to follow.
    EXPECT_EQ(list_statements(context).problems.size(), 2u);
}

TEST_F(StatementTest, WhatContradictsItselfIsRefused) {
    Statement statement;
    statement.name = "x";
    EXPECT_EQ(code_of([&] { put_statement(context, statement); }), ErrorCode::usage); // about nothing
    statement.source = "home";
    statement.type = StatementType::release;
    EXPECT_EQ(code_of([&] { put_statement(context, statement); }), ErrorCode::usage); // of what?
    statement.type = StatementType::verification;
    EXPECT_EQ(code_of([&] { put_statement(context, statement); }),
              ErrorCode::usage); // and how did it come out?
    EXPECT_TRUE(list_names(store, statements_prefix).empty());
}

TEST(Statement, SurvivesBeingWritten) {
    Statement statement;
    statement.id = {SlotId{}, 3};
    statement.source = "\xfe";
    statement.type = StatementType::release;
    statement.time = Timestamp(std::chrono::seconds(1'700'000'000));
    statement.previous = ObjectDigest{};
    statement.releases = StatementId{SlotId{}, 2};
    EXPECT_EQ(decode_statement(encode_statement(statement), statement.id), statement);
    // The first of a slot follows nothing, and all others something.
    EXPECT_THROW(decode_statement(encode_statement(statement), {SlotId{}, 0}), Error);
}

// A policy says itself what it is about; whoever does not know the kind refuses to forget anything.
TEST(Statement, APolicyIsAboutNothingElse) {
    Statement statement;
    statement.id = {SlotId{}, 0};
    statement.type = StatementType::policy;
    statement.time = Timestamp(std::chrono::seconds(1'700'000'000));
    statement.name = "production";
    statement.value = R"({"sources":["*"]})";
    EXPECT_EQ(decode_statement(encode_statement(statement), statement.id), statement);
    Statement about = statement;
    about.source = "home";
    EXPECT_THROW(decode_statement(encode_statement(about), about.id), Error);
    about.type = StatementType::tag;
    about.source.reset();
    EXPECT_THROW(decode_statement(encode_statement(about), about.id), Error);
    std::string newer(as_text(encode_statement(statement)));
    newer.replace(newer.find("\"policy\""), 8, "\"poetry\"");
    EXPECT_EQ(code_of([&] { decode_statement(as_bytes(newer), statement.id); }), ErrorCode::incompatible);
}

TEST_F(StatementTest, WhatIsOfAnUnknownKindMayHaveKeptSomething) {
    const Snapshot first = commit("home");
    commit("home");
    Statement statement;
    statement.id = {admin->ring.slot(), 0};
    statement.type = StatementType::policy;
    statement.time = clock.now();
    statement.name = "production";
    std::string newer(as_text(encode_statement(statement)));
    newer.replace(newer.find("\"policy\""), 8, "\"poetry\"");
    RunContext run = admin->ring.begin_run(random);
    const std::string name = statement_name(statement.id.slot, 0);
    store.objects[name] = seal_object(ObjectKind::statement, name, as_bytes(newer), run);
    EXPECT_EQ(list_statements(context).damaged.size(), 1u);
    EXPECT_EQ(code_of([&] { forget_snapshot(context, first.id, false); }), ErrorCode::corrupt);
}

} // namespace
} // namespace holdfast
