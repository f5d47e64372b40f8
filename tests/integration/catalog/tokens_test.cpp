#include "catalog/answers.h"
#include "catalog/approvals.h"
#include "catalog/kept_policies.h"
#include "catalog/tokens.h"
#include "crypto/one_time_code.h"
#include "integration/catalog/catalog_fixture.h"
#include "support/error_matchers.h"

#include <atomic>
#include <thread>

#include <gmock/gmock.h>

namespace holdfast {
namespace {

using test::expect_error;
using testing::ElementsAre;
using testing::SizeIs;

class TokensBase : public test::CatalogTest {
  protected:
    IssuedToken issue(const std::string& name, TokenRole role,
                      std::optional<Timestamp> expires = std::nullopt, bool second_factor = false) {
        IssuedToken issued;
        catalog->transaction([&](Database& database) {
            issued = tokens.issue(database, {.name = name,
                                             .roles = {role},
                                             .created_by = "test",
                                             .expires = expires,
                                             .second_factor = second_factor});
        });
        return issued;
    }
    bool revoke(const std::string& id) {
        bool done = false;
        catalog->transaction([&](Database& database) { done = tokens.revoke(database, id); });
        return done;
    }
    // How many of several threads say yes.
    static int count(const std::function<bool(int)>& body) {
        std::atomic<int> yes = 0;
        {
            std::vector<std::jthread> threads;
            for (int i = 0; i < 8; ++i)
                threads.emplace_back([&, i] {
                    if (body(i)) ++yes;
                });
        }
        return yes;
    }

    Tokens tokens{*catalog, clock, random};
};
HOLDFAST_BOTH_DATABASES(TokensBase);

class SharedTokensTest : public TokensBase {};
INSTANTIATE_TEST_SUITE_P(Shared, SharedTokensTest, testing::Values("postgresql"),
                         [](const auto& which) { return which.param; });

TEST_P(TokensBase, AreFoundByTheirSecrets) {
    const IssuedToken anna = issue("anna", TokenRole::operator_, clock.now() + std::chrono::hours(1));
    const auto found = tokens.find_by_secret(anna.secret);
    ASSERT_TRUE(found);
    EXPECT_EQ(*found, anna.token);
    EXPECT_TRUE(found->is_valid(clock.now()));
    EXPECT_FALSE(found->is_valid(clock.now() + std::chrono::hours(1)));
    EXPECT_EQ(tokens.find_by_secret("hf_" + std::string(64, '0')), std::nullopt);
    EXPECT_EQ(tokens.find(anna.token.id), anna.token);
    expect_error(ErrorCode::already_exists, [&] { issue("anna", TokenRole::viewer); });
    EXPECT_TRUE(revoke(anna.token.id));
    EXPECT_FALSE(revoke(anna.token.id));
    EXPECT_FALSE(tokens.find_by_secret(anna.secret)->is_valid(clock.now()));
    expect_error(ErrorCode::already_exists, [&] { issue("anna", TokenRole::viewer); });
    expect_error(ErrorCode::not_found, [&] { revoke("tk_none"); });
    EXPECT_THAT(tokens.list("", 10), SizeIs(1));
    EXPECT_THAT(tokens.list(anna.token.id, 10), SizeIs(0));
}

TEST_P(TokensBase, OfManyStartsOneMakesTheFirst) {
    EXPECT_EQ(count([&](int) { return tokens.issue_first(true).has_value(); }), 1);
    EXPECT_THAT(tokens.list("", 10), SizeIs(1));
}

TEST_P(TokensBase, TheLastTwoAdministratorsDoNotRevokeEachOther) {
    const std::string ids[] = {issue("anna", TokenRole::administrator).token.id,
                               issue("bert", TokenRole::administrator).token.id};
    EXPECT_EQ(count([&](int i) {
                  try {
                      return revoke(ids[i % 2]);
                  } catch (const Error& error) {
                      EXPECT_EQ(error.code(), ErrorCode::fenced);
                      return false;
                  }
              }),
              1);
    EXPECT_EQ(tokens.last_administrator_ends(), std::nullopt);
}

TEST_P(TokensBase, ACodeIsAcceptedOnce) {
    const IssuedToken anna = issue("anna", TokenRole::administrator, std::nullopt, true);
    EXPECT_TRUE(tokens.find(anna.token.id)->has_second_factor);
    const std::string address = *anna.authenticator;
    const std::string text = address.substr(address.find("secret=") + 7, 32);
    Bytes seed;
    std::uint32_t bits = 0;
    int held = 0;
    for (const char letter : text) {
        bits = (bits << 5) |
               static_cast<std::uint32_t>(std::string_view("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567").find(letter));
        if ((held += 5) >= 8) seed.push_back(static_cast<Byte>(bits >> (held -= 8)));
    }
    const std::string code = one_time_code(seed, one_time_step(clock.now()));
    EXPECT_FALSE(tokens.accept_code(anna.token, "hf_other", code));
    EXPECT_EQ(count([&](int) { return tokens.accept_code(anna.token, anna.secret, code); }), 1);
    EXPECT_FALSE(tokens.accept_code(anna.token, anna.secret, code));
    EXPECT_FALSE(tokens.accept_code(issue("bert", TokenRole::viewer).token, anna.secret, code));
}

TEST_P(TokensBase, OneKeyIsAnsweredOnce) {
    Answers answers(*catalog, clock, random);
    const AnswerKey key{.token = "tk", .secret = "hf_secret", .key = "k", .request = "digest"};
    std::atomic<int> done = 0;
    EXPECT_EQ(count([&](int) {
                  std::string answer;
                  catalog->transaction([&](Database& database) {
                      const KeptAnswer kept = answers.begin(database, key);
                      EXPECT_NE(kept.state, AnswerState::different);
                      answer = kept.answer;
                      if (kept.state != AnswerState::none) return;
                      ++done;
                      answers.finish(database, key, "the answer");
                      answer = "the answer";
                  });
                  return answer == "the answer";
              }),
              8);
    EXPECT_EQ(done, 1);
    AnswerKey other = key;
    other.request = "another";
    EXPECT_EQ(answers.find(other).state, AnswerState::different);
    other = key;
    other.token = "tk2";
    EXPECT_EQ(answers.find(other).state, AnswerState::none);
    // What failed was not done.
    expect_error(ErrorCode::cancelled, [&] {
        catalog->transaction([&](Database& database) {
            answers.begin(database, other);
            throw Error(ErrorCode::cancelled, "stopped");
        });
    });
    EXPECT_EQ(answers.find(other).state, AnswerState::none);
    clock.advance(std::chrono::hours(24));
    EXPECT_EQ(answers.find(key).state, AnswerState::none);
    catalog->transaction(
        [&](Database& database) { EXPECT_EQ(answers.begin(database, key).state, AnswerState::none); });
}

TEST_P(TokensBase, OneDecides) {
    Approvals approvals(*catalog, clock, random);
    Approval approval;
    catalog->transaction(
        [&](Database& database) { approval = approvals.add(database, "backups.delete", "{}", "tk_anna"); });
    const auto decide = [&](const std::string& by, bool approved) {
        bool decided = false;
        catalog->transaction(
            [&](Database& database) { decided = approvals.decide(database, approval.id, approved, by); });
        return decided;
    };
    EXPECT_FALSE(decide("tk_anna", true));
    EXPECT_EQ(count([&](int i) { return decide("tk_bert", i % 2 == 0); }), 1);
    catalog->with([&](Database& database) {
        approvals.keep_answer(database, approval.id, "{\"status\":202}");
        approvals.keep_answer(database, approval.id, "another comes too late");
    });
    const auto decided = *approvals.find(approval.id);
    EXPECT_EQ(decided.decided_by, "tk_bert");
    // Nothing comes of what was rejected.
    if (decided.state == "approved") {
        EXPECT_EQ(decided.answer, "{\"status\":202}");
    } else {
        EXPECT_EQ(decided.state, "rejected");
        EXPECT_FALSE(decided.answer);
    }
    catalog->transaction(
        [&](Database& database) { approval = approvals.add(database, "backups.delete", "{}", "tk_anna"); });
    EXPECT_THAT(approvals.list("", 10), SizeIs(2));
    EXPECT_THAT(approvals.list(approval.id, 10), SizeIs(1));
    clock.advance(std::chrono::hours(24));
    EXPECT_EQ(approvals.find(approval.id)->state, "expired");
    EXPECT_FALSE(decide("tk_bert", true));
}

// Neither by who does another one, nor by who changes policies.
TEST_P(SharedTokensTest, WhatWasLeftIsTakenOverWhileOthersAreBusy) {
    Approvals approvals(*catalog, clock, random);
    KeptPolicies policies(*catalog);
    std::vector<std::string> ids;
    catalog->transaction([&](Database& database) {
        for (int i = 0; i < 2; ++i) {
            ids.push_back(approvals.add(database, "backups.delete", "{}", "tk_anna").id);
            ASSERT_TRUE(approvals.decide(database, ids.back(), true, "tk_bert"));
            clock.advance(std::chrono::seconds(1));
        }
        database.query("UPDATE approvals SET carried_until = 0");
    });
    catalog->transaction([&](Database& busy) {
        policies.lock(busy);
        approvals.require_unanswered(busy, ids[0]);
        EXPECT_EQ(approvals.claim_left().value().id, ids[1]);
        EXPECT_FALSE(approvals.claim_left());
    });
    // Who is about to do it has a minute for it, and is not stopped half-way.
    EXPECT_FALSE(approvals.claim_left());
    const auto decide = [&](const std::string& id, bool approved) {
        bool ours = false;
        catalog->transaction(
            [&](Database& database) { ours = approvals.decide(database, id, approved, "tk_carl"); });
        return ours;
    };
    EXPECT_FALSE(decide(ids[0], false));
    // What nobody is at is called back.
    catalog->transaction(
        [](Database& database) { database.query("UPDATE approvals SET carried_until = 0"); });
    EXPECT_FALSE(decide(ids[0], true));
    EXPECT_TRUE(decide(ids[0], false));
    EXPECT_EQ(approvals.find(ids[0])->state, "rejected");
    EXPECT_EQ(approvals.claim_left().value().id, ids[1]);
    EXPECT_FALSE(approvals.claim_left());
}

} // namespace
} // namespace holdfast
