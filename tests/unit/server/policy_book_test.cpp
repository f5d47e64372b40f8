// What happens between the steps of a change of a policy: looks, other servers, and ends of servers.
#include "support/error_matchers.h"
#include "unit/server/policy_fixture.h"

namespace holdfast::test {
namespace {

class PolicyBookTest : public testing::Test {
  protected:
    StatementList list() { return world.list(); }
    std::string body_of(PolicyBook& of) {
        const auto kept = of.find("mine");
        return kept ? kept->body : "";
    }

    ScratchDirectory scratch;
    const std::string url = "sqlite:" + scratch.file("catalog.db");
    Catalog catalog{url, silent_logger()}, beside{url, silent_logger()};
    PolicyWorld world{catalog};
    PolicyBook book{catalog, [this] { return world.open(); }};
    PolicyBook other{beside, [this] { return world.open(); }}; // of another server
    const std::string three = PolicyWorld::keeping(3), four = PolicyWorld::keeping(4),
                      five = PolicyWorld::keeping(5);
    const PolicyBook::ListStatements again = [this] { return list(); };
};

TEST_F(PolicyBookTest, TheCatalogIsFreeWhileTheRepositoryIsTold) {
    bool written = false;
    world.before_statement([&] {
        beside.transaction([&](Database& database) {
            KeptPolicies(beside).put(database, world.kept("another", three));
            written = true;
        });
    });
    world.set(book, "mine", three);
    EXPECT_TRUE(written);
    EXPECT_EQ(body_of(book), three);
}

TEST_F(PolicyBookTest, AListOfBeforeAChangeIsNotTakenForTruth) {
    for (const std::string& body : {three, std::string()}) {
        const PolicyBook::Known early = book.known();
        PolicyBook::Change change(book);
        EXPECT_FALSE(book.take({}, early, [] { return StatementList(); }));
        const PolicyBook::Known known = book.known();
        const StatementList of_before = list();
        const auto seen = book.find("mine");
        const KeptPolicy stated = PolicyWorld::state(change, world.kept("mine", body), seen);
        world.keep(change, stated, seen);
        book.take(of_before, known, again);
        EXPECT_EQ(book.problem(), "");
        EXPECT_EQ(body_of(book), body);
        book.reload();
        EXPECT_FALSE(book.take(of_before, known, again));
        EXPECT_EQ(book.problem(), "");
        EXPECT_EQ(body_of(book), body);
    }
}

TEST_F(PolicyBookTest, NorIsOneOfBeforeAChangeByAnotherServer) {
    for (const std::string& body : {three, std::string()}) {
        const PolicyBook::Known known = book.known();
        const StatementList of_before = list();
        world.set(other, "mine", body);
        book.take(of_before, known, again);
        EXPECT_EQ(book.problem(), "");
        book.take(list(), book.known(), again);
        EXPECT_EQ(body_of(book), body);
        EXPECT_EQ(body_of(other), body);
    }
    // One that tells of the first of two changes.
    const PolicyBook::Known known = book.known();
    StatementList of_first;
    {
        PolicyBook::Change change(other);
        const KeptPolicy stated = PolicyWorld::state(change, world.kept("mine", four), std::nullopt);
        of_first = list();
        world.keep(change, stated, std::nullopt);
        other.reload();
    }
    world.set(other, "mine", five);
    book.take(of_first, known, again);
    EXPECT_EQ(body_of(book), five);
}

TEST_F(PolicyBookTest, AStatementIsWithheldWhenItIsListedNeitherNowNorAgain) {
    world.set(book, "mine", three);
    EXPECT_FALSE(book.take({}, book.known(), again));
    EXPECT_EQ(book.problem(), "");
    EXPECT_TRUE(book.take({}, book.known(), [] { return StatementList(); }));
    EXPECT_NE(book.problem().find("'mine'"), std::string::npos);
    EXPECT_EQ(body_of(book), three);
}

TEST_F(PolicyBookTest, WhatWasStatedBeforeTheServerEndedIsFound) {
    {
        PolicyBook::Change change(book);
        PolicyWorld::state(change, world.kept("mine", three), std::nullopt);
    }
    EXPECT_TRUE(other.take(list(), other.known(), again));
    EXPECT_EQ(body_of(other), three);
    // Also by a look while it is done, which does not know who did it.
    PolicyBook::Change change(book);
    const auto seen = book.find("mine");
    const KeptPolicy stated = PolicyWorld::state(change, world.kept("mine", four), seen);
    other.take(list(), other.known(), again);
    EXPECT_EQ(body_of(other), four);
    world.keep(change, stated, seen);
    book.reload();
    EXPECT_EQ(book.find("mine")->changed_by, "anna");
}

TEST_F(PolicyBookTest, WhatAnotherServerHasChangedIsNotChangedUnseen) {
    world.set(book, "mine", three);
    PolicyBook::Change change(book);
    const auto seen = book.find("mine");
    world.set(other, "mine", four);
    const std::size_t statements = list().statements.size();
    expect_error(
        ErrorCode::fenced, [&] { PolicyWorld::state(change, world.kept("mine", five), seen); },
        "changed meanwhile");
    EXPECT_EQ(list().statements.size(), statements);
}

TEST_F(PolicyBookTest, OfTwoServersAtTheSameTimeTheLaterCountsAndIsTold) {
    world.set(book, "mine", three);
    world.before_statement([&] { world.set(other, "mine", four); });
    expect_error(ErrorCode::fenced, [&] { world.set(book, "mine", five); }, "changed meanwhile");
    EXPECT_EQ(body_of(book), five);
    other.take(list(), other.known(), again);
    EXPECT_EQ(body_of(other), five);
    // Of what the catalog knows already nothing is overwritten.
    PolicyBook::Change change(book);
    const auto seen = book.find("mine");
    const KeptPolicy stated = PolicyWorld::state(change, world.kept("mine", three), seen);
    other.take(list(), other.known(), again);
    world.set(other, "mine", four);
    world.keep(change, stated, seen);
    book.reload();
    EXPECT_EQ(body_of(book), four);
}

} // namespace
} // namespace holdfast::test
