#include "catalog/audit.h"
#include "catalog/kept_policies.h"
#include "catalog/operations.h"
#include "integration/catalog/catalog_fixture.h"
#include "support/error_matchers.h"

#include <atomic>
#include <future>
#include <set>
#include <thread>

#include <gmock/gmock.h>

namespace holdfast {
namespace {

using std::chrono::minutes;
using std::chrono::seconds;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;
using testing::Pair;
using testing::SizeIs;

class OperationsTest : public test::CatalogTest {
  protected:
    Operations operations{*catalog, clock, random};

    std::string add(const std::string& source, Timestamp run_after = {}) {
        let_ids_ascend();
        OperationRequest request;
        request.kind = "backup";
        request.source = source;
        request.request = R"({"type": "auto"})";
        request.requested_by = "anna";
        request.run_after = run_after;
        return operations.add(request).value();
    }
    std::optional<Operation> claim(const std::string& owner = "server-1",
                                   const OperationLimits& limits = {}) {
        return operations.claim(owner, minutes(1), limits);
    }
    std::string claimed(const std::string& owner = "server-1", const OperationLimits& limits = {}) {
        const auto operation = claim(owner, limits);
        return operation ? operation->id : "none";
    }
};
HOLDFAST_BOTH_DATABASES(OperationsTest);

// However one ends, somebody is told in the same transaction, once.
TEST_P(OperationsTest, TellOfTheirBeginningAndTheirEnd) {
    std::vector<std::string> told;
    bool refuses = false;
    const auto tell = [&](const char* what) {
        return [&told, &refuses, what](Database&, const Operation& operation) {
            if (refuses) throw Error(ErrorCode::io, "not now");
            told.push_back(fmt::format("{} {} {}", what, *operation.source, to_string(operation.state)));
        };
    };
    Operations watched(*catalog, clock, random, {.begun = tell("begun"), .ended = tell("ended")});
    const auto begin = [&](const std::string& source) {
        add(source);
        return watched.claim("server-1", minutes(1), {}).value();
    };
    watched.finish(begin("done"), OperationState::succeeded, "{}", std::nullopt);
    const Operation again = begin("again");
    watched.put_back(again, Operations::Why::failed, now(), "{}");
    watched.finish(watched.claim("server-1", minutes(1), {}).value(), OperationState::failed, std::nullopt,
                   "{}");
    const Operation stopped = begin("stopped");
    EXPECT_TRUE(watched.cancel(stopped.id));
    watched.put_back(stopped, Operations::Why::interrupted, now(), "{}");
    const Operation lost = begin("lost");
    EXPECT_TRUE(watched.cancel(lost.id));
    let_pass(minutes(2));
    EXPECT_FALSE(watched.claim("server-2", minutes(1), {}));
    EXPECT_FALSE(watched.finish(lost, OperationState::succeeded, "{}", std::nullopt));
    EXPECT_THAT(told, ElementsAre("begun done running", "ended done succeeded", "begun again running",
                                  "begun again running", "ended again failed", "begun stopped running",
                                  "ended stopped cancelled", "begun lost running", "ended lost cancelled"));
    // One that was put back, and not one that nobody has begun.
    told.clear();
    watched.put_back(begin("back"), Operations::Why::failed, now() + minutes(1), "{}");
    EXPECT_TRUE(watched.cancel(watched.list({.source = "back"}).front().id));
    EXPECT_TRUE(watched.cancel(add("never")));
    EXPECT_THAT(told, ElementsAre("begun back running", "ended back cancelled"));
    // Who takes up what is its own begins nothing, nor who gives it up; another does.
    told.clear();
    const Operation first = begin("lapses");
    const auto taken_up = [&](const std::string& by, const OperationLimits& limits = {}) {
        let_pass(minutes(2));
        return watched.claim(by, minutes(1), limits).value();
    };
    EXPECT_EQ(taken_up("server-1").id, first.id);
    EXPECT_EQ(taken_up("server-2").losses, 1);
    watched.finish(taken_up("server-3", {.losses = 2}), OperationState::failed, std::nullopt, "{}");
    EXPECT_THAT(told, ElementsAre("begun lapses running", "begun lapses running", "ended lapses failed"));
    // What cannot be told of does not happen.
    const std::string id = add("untold");
    refuses = true;
    test::expect_error(ErrorCode::io, [&] { watched.claim("server-1", minutes(1), {}); });
    EXPECT_EQ(watched.find(id)->state, OperationState::queued);
}

TEST_P(OperationsTest, GoThroughTheirLife) {
    const std::string id = add("orders");
    Operation operation = operations.find(id).value();
    EXPECT_EQ(operation.state, OperationState::queued);
    EXPECT_EQ(operation.source, "orders");
    EXPECT_EQ(operation.request, R"({"type": "auto"})");
    EXPECT_LE(operation.created, now());
    EXPECT_FALSE(operation.started);

    operation = claim().value();
    EXPECT_EQ(operation.id, id);
    EXPECT_EQ(operation.state, OperationState::running);
    EXPECT_EQ(operation.owner, "server-1");
    EXPECT_EQ(operation.attempts, 1);
    EXPECT_GE(operation.started, operation.created);
    EXPECT_EQ(operation.lease_until, operation.started.value() + minutes(1));

    const OperationProgress progress{"reading", 10, 100, 1, 2};
    let_pass(seconds(30));
    const auto renewal = operations.renew(operation, minutes(1), progress);
    EXPECT_TRUE(renewal.ours);
    EXPECT_FALSE(renewal.cancel_requested);
    const Operation claimed_one = operation;
    operation = operations.find(id).value();
    EXPECT_EQ(operation.progress, progress);
    EXPECT_GT(operation.lease_until.value(), operation.started.value() + minutes(1));

    EXPECT_TRUE(operations.finish(claimed_one, OperationState::incomplete, R"({"a": 1})", std::nullopt));
    operation = operations.find(id).value();
    EXPECT_EQ(operation.state, OperationState::incomplete);
    EXPECT_GE(operation.ended, operation.started);
    EXPECT_EQ(operation.result, R"({"a": 1})");
    // Lists are without what may be large.
    EXPECT_FALSE(operations.list({}).front().result);
    EXPECT_FALSE(operation.owner);
    EXPECT_FALSE(operations.finish(claimed_one, OperationState::failed, std::nullopt, "{}"));
    EXPECT_FALSE(operations.renew(claimed_one, minutes(1), progress).ours);
    EXPECT_FALSE(operations.find("nothing"));
}

TEST_P(OperationsTest, TheOneThatWaitedLongestComesFirst) {
    const std::string first = add("a"), later = add("b", clock.now() + minutes(10)), second = add("c");
    const OperationLimits many{.at_once = 10};
    EXPECT_EQ(claimed("s", many), first);
    EXPECT_EQ(claimed("s", many), second);
    EXPECT_EQ(claimed("s", many), "none");
    for (const std::string& id : {first, second})
        operations.finish(operations.find(id).value(), OperationState::succeeded, std::nullopt, std::nullopt);
    let_pass(minutes(10));
    EXPECT_EQ(claimed("t", many), later);
}

TEST_P(OperationsTest, LimitsHold) {
    const std::string a1 = add("a"), a2 = add("a"), b = add("b"), c = add("c");
    EXPECT_EQ(claimed(), a1);
    EXPECT_EQ(claimed("server-2"), b);      // not a second of the same source
    EXPECT_EQ(claimed("server-2"), "none"); // two at once
    operations.finish(operations.find(b).value(), OperationState::succeeded, std::nullopt, std::nullopt);
    EXPECT_EQ(claimed(), c);
    operations.finish(operations.find(a1).value(), OperationState::succeeded, std::nullopt, std::nullopt);
    EXPECT_EQ(claimed(), a2);
}

TEST_P(OperationsTest, ALostServersWorkIsTakenOver) {
    const std::string id = add("a");
    const Operation lost = claim("lost").value();
    ASSERT_EQ(lost.id, id);
    EXPECT_EQ(claimed("heir"), "none");
    let_pass(minutes(1));
    const auto taken = claim("heir");
    ASSERT_TRUE(taken);
    EXPECT_EQ(taken->id, id);
    EXPECT_EQ(taken->attempts, 2);
    EXPECT_EQ(taken->interruptions, 1);
    EXPECT_EQ(taken->failures, 0);
    // The lost one was only paused: it learns so, and cannot end what is not its own.
    EXPECT_FALSE(operations.renew(lost, minutes(1), {}).ours);
    EXPECT_FALSE(operations.finish(lost, OperationState::succeeded, "{}", std::nullopt));
    EXPECT_FALSE(operations.put_back(lost, Operations::Why::failed, clock.now(), "{}"));
    EXPECT_EQ(operations.find(id)->state, OperationState::running);
    EXPECT_TRUE(operations.finish(*taken, OperationState::succeeded, "{}", std::nullopt));
}

TEST_P(OperationsTest, ServersThatAreLostInARowAreCounted) {
    const std::string id = add("a");
    const auto losses_after = [&](const std::string& server, std::uint64_t done_bytes) {
        const Operation operation = claim(server).value();
        EXPECT_TRUE(operations.renew(operation, minutes(1), {.phase = "", .done_bytes = done_bytes}).ours);
        let_pass(minutes(1));
        return operations.find(id)->losses;
    };
    EXPECT_EQ(losses_after("first", 10), 0);
    EXPECT_EQ(losses_after("second", 10), 1);
    EXPECT_EQ(losses_after("third", 9), 2);
    // Further than all before it. And who takes up its own lives.
    EXPECT_EQ(losses_after("fourth", 11), 0);
    EXPECT_EQ(losses_after("fourth", 11), 0);
    EXPECT_EQ(losses_after("fifth", 0), 1);
    const Operation stopped = claim("sixth").value();
    EXPECT_TRUE(operations.put_back(stopped, Operations::Why::interrupted, clock.now(), "{}"));
    EXPECT_EQ(operations.find(id)->losses, 2);
    const Operation failed = claim("seventh").value();
    EXPECT_EQ(failed.losses, 2);
    EXPECT_TRUE(operations.put_back(failed, Operations::Why::failed, clock.now(), "{}"));
    EXPECT_EQ(operations.find(id)->losses, 0);
}

// A server of the same name that was started anew, or paused: it is the attempt that tells them apart.
TEST_P(OperationsTest, AnAttemptThatWasTakenOverIsNotOursThoughTheNameIs) {
    add("a");
    const Operation first = claim("server").value();
    let_pass(minutes(2));
    const Operation second = claim("server").value();
    ASSERT_EQ(first.id, second.id);
    EXPECT_FALSE(operations.renew(first, minutes(1), {}).ours);
    EXPECT_FALSE(operations.finish(first, OperationState::succeeded, "{}", std::nullopt));
    EXPECT_TRUE(operations.renew(second, minutes(1), {}).ours);
}

TEST_P(OperationsTest, WhatIsToBeCancelledIsNotRunAgain) {
    add("a");
    const Operation put_back = claim().value();
    operations.cancel(put_back.id);
    EXPECT_TRUE(operations.put_back(put_back, Operations::Why::failed, clock.now(), "{}"));
    EXPECT_EQ(operations.find(put_back.id)->state, OperationState::cancelled);
    add("a");
    const Operation lost = claim().value();
    operations.cancel(lost.id);
    let_pass(minutes(2));
    EXPECT_FALSE(claim("heir"));
    EXPECT_EQ(operations.find(lost.id)->state, OperationState::cancelled);
}

TEST_P(OperationsTest, TextsNeedNotBeUtf8) {
    OperationRequest request;
    request.kind = "backup";
    request.source = "b\xFCro";
    request.requested_by = std::string("a\0b", 3);
    const std::string id = operations.add(request).value();
    EXPECT_EQ(operations.find(id)->source, "hex:62fc726f");
    EXPECT_EQ(operations.find(id)->requested_by, "a\xEF\xBF\xBD"
                                                 "b");
    operations.log(id, "info", "\xFF");
    EXPECT_EQ(operations.log_after(id, 0, 1).at(0).message, "hex:ff");
}

// What a library says of a connection may have its password in it.
TEST_P(OperationsTest, WhatIsToldOfThemKeepsNoSecrets) {
    const std::string said = "cannot connect to postgresql://h:open-sesame@db/orders", kept = "open-sesame";
    const std::string id = add("orders");
    const Operation first = claim().value();
    operations.log(id, "warning", said);
    ASSERT_TRUE(
        operations.put_back(first, Operations::Why::failed, now(), R"({"message": ")" + said + "\"}"));
    EXPECT_THAT(operations.find(id)->error.value(), AllOf(HasSubstr("@db/orders"), Not(HasSubstr(kept))));
    ASSERT_TRUE(operations.finish(claim().value(), OperationState::failed, std::nullopt, said));
    EXPECT_THAT(operations.find(id)->error.value(), AllOf(HasSubstr("@db/orders"), Not(HasSubstr(kept))));
    EXPECT_THAT(operations.log_after(id, 0, 1).at(0).message,
                AllOf(HasSubstr("@db/orders"), Not(HasSubstr(kept))));
}

TEST_P(OperationsTest, ManyMayWriteALog) {
    const std::string id = add("a");
    {
        std::vector<std::jthread> threads;
        for (int i = 0; i < 4; ++i)
            threads.emplace_back([&] {
                for (int k = 0; k < 10; ++k) operations.log(id, "info", "line");
            });
    }
    EXPECT_EQ(operations.log_after(id, 0, 100).back().number, 40);
}

TEST_P(OperationsTest, FailedOnesAreTriedAgainLater) {
    const std::string id = add("a");
    ASSERT_EQ(claimed(), id);
    EXPECT_TRUE(operations.put_back(operations.find(id).value(), Operations::Why::failed,
                                    clock.now() + minutes(5), R"({"code": "unavailable"})"));
    EXPECT_EQ(claimed(), "none");
    let_pass(minutes(5));
    const auto again = claim();
    ASSERT_TRUE(again);
    EXPECT_EQ(again->attempts, 2);
    EXPECT_EQ(again->failures, 1);
    EXPECT_EQ(again->interruptions, 0);
    EXPECT_EQ(again->error, R"({"code": "unavailable"})");
    EXPECT_TRUE(operations.put_back(*again, Operations::Why::interrupted, clock.now(), "{}"));
    EXPECT_EQ(operations.find(id)->failures, 1);
    EXPECT_EQ(operations.find(id)->interruptions, 1);
}

TEST_P(OperationsTest, WhatFollowsFromAnEndIsThereWithItOrNotAtAll) {
    const std::string id = add("a");
    const Operation claimed_one = claim().value();
    const auto follow = [&](Database& database) {
        OperationRequest request;
        request.kind = "prune";
        operations.add(database, request);
    };
    EXPECT_THROW(operations.finish(claimed_one, OperationState::succeeded, "{}", std::nullopt,
                                   [&](Database& database) {
                                       follow(database);
                                       throw Error(ErrorCode::unavailable, "gone");
                                   }),
                 Error);
    EXPECT_EQ(operations.find(id)->state, OperationState::running);
    EXPECT_THAT(operations.list({}), SizeIs(1));
    EXPECT_TRUE(operations.finish(claimed_one, OperationState::succeeded, "{}", std::nullopt, follow));
    EXPECT_THAT(operations.list({}), SizeIs(2));
    // What is not ours has no consequences either.
    EXPECT_FALSE(operations.finish(claimed_one, OperationState::succeeded, "{}", std::nullopt, follow));
    EXPECT_THAT(operations.list({}), SizeIs(2));
}

TEST_P(OperationsTest, AreCancelled) {
    const std::string waiting = add("a"), running = add("b");
    EXPECT_TRUE(operations.cancel(waiting));
    EXPECT_EQ(operations.find(waiting)->state, OperationState::cancelled);
    EXPECT_TRUE(operations.find(waiting)->ended);
    EXPECT_FALSE(operations.cancel(waiting));
    ASSERT_EQ(claimed(), running);
    EXPECT_TRUE(operations.cancel(running));
    EXPECT_EQ(operations.find(running)->state, OperationState::running);
    EXPECT_TRUE(operations.renew(operations.find(running).value(), minutes(1), {}).cancel_requested);
    EXPECT_FALSE(operations.cancel("nothing"));
}

TEST_P(OperationsTest, ARunOfAPlanIsAskedForOnce) {
    OperationRequest request;
    request.kind = "backup";
    request.source = "orders";
    request.requested_by = "schedule";
    request.plan = "nightly";
    request.nominal = from_rfc3339("2026-11-20T02:00:00Z");
    EXPECT_FALSE(operations.last_nominal("backup", "orders", "nightly"));
    EXPECT_TRUE(operations.add(request));
    EXPECT_FALSE(operations.add(request));
    EXPECT_EQ(operations.last_nominal("backup", "orders", "nightly"), request.nominal);
    request.nominal = from_rfc3339("2026-11-21T02:00:00Z");
    EXPECT_TRUE(operations.add(request));
    EXPECT_EQ(operations.last_nominal("backup", "orders", "nightly"), request.nominal);
    EXPECT_FALSE(operations.last_nominal("backup", "orders", "weekly"));
    EXPECT_EQ(operations.last_run("backup", "orders", "nightly")->nominal, request.nominal);
    EXPECT_FALSE(operations.last_run("backup", "orders", "weekly"));
    // Another kind may have a plan of the same name, and there need be no source.
    request.kind = "verify";
    EXPECT_TRUE(operations.add(request));
    request.source.reset();
    EXPECT_TRUE(operations.add(request));
    EXPECT_FALSE(operations.add(request));
    EXPECT_EQ(operations.last_nominal("verify", std::nullopt, "nightly"), request.nominal);
    // The last run of a plan is remembered, however long ago it was.
    for (const Operation& one : operations.list({})) operations.cancel(one.id);
    let_pass(minutes(1));
    EXPECT_EQ(operations.remove_ended_before(now()), 1);
    EXPECT_FALSE(operations.add(request));
}

// What the server knows of policies by API.
TEST_P(OperationsTest, PoliciesAreKeptChangedAndForgottenByName) {
    KeptPolicies policies(*catalog);
    KeptPolicy kept{
        .name = "b", .body = "{}", .statement = "s-0", .changed = clock.now(), .changed_by = "anna"};
    const auto put = [&](const KeptPolicy& policy) {
        catalog->transaction([&](Database& database) {
            policies.lock(database);
            policies.put(database, policy);
        });
    };
    put(kept);
    KeptPolicy other = kept;
    other.name = "a";
    put(other);
    kept.body = R"({"sources":["*"]})";
    kept.statement = "s-1";
    put(kept);
    EXPECT_EQ(policies.list(), (std::vector<KeptPolicy>{other, kept}));
    catalog->transaction([&](Database& database) {
        EXPECT_EQ(policies.find(database, "b"), kept);
        policies.remove(database, "a");
        EXPECT_FALSE(policies.find(database, "a"));
    });
    EXPECT_EQ(policies.list(), std::vector<KeptPolicy>{kept});
}

TEST_P(OperationsTest, AreListedNewestFirstPageByPage) {
    std::vector<std::string> ids;
    for (int i = 0; i < 7; ++i) ids.push_back(add(i % 2 == 0 ? "even" : "odd"));
    operations.cancel(ids[0]);
    OperationFilter filter;
    filter.limit = 3;
    std::vector<std::string> seen;
    while (true) {
        const auto page = operations.list(filter);
        if (page.empty()) break;
        for (const Operation& operation : page) seen.push_back(operation.id);
        filter.before = page.back().id;
    }
    EXPECT_EQ(seen, std::vector<std::string>(ids.rbegin(), ids.rend()));
    EXPECT_THAT(operations.list({.source = "odd"}), SizeIs(3));
    EXPECT_THAT(operations.list({.kind = "verify"}), SizeIs(0));
    EXPECT_THAT(operations.list({.source = "even", .states = {OperationState::cancelled}}), SizeIs(1));
    EXPECT_THAT(operations.counts(),
                ElementsAre(Pair(OperationState::queued, 6), Pair(OperationState::cancelled, 1)));
}

TEST_P(OperationsTest, HaveALog) {
    const std::string id = add("a"), other = add("b");
    operations.log(id, "info", "started");
    operations.log(other, "info", "of another");
    operations.log(id, "warning", "left out: a file");
    const auto lines = operations.log_after(id, 0, 10);
    ASSERT_THAT(lines, SizeIs(2));
    EXPECT_EQ(lines[1].number, 2);
    EXPECT_EQ(lines[1].level, "warning");
    EXPECT_EQ(lines[1].message, "left out: a file");
    EXPECT_THAT(operations.log_after(id, 1, 10), SizeIs(1));
    ASSERT_TRUE(operations.cancel(id));
    let_pass(minutes(1));
    EXPECT_EQ(operations.remove_ended_before(now()), 1);
    EXPECT_FALSE(operations.find(id));
    EXPECT_THAT(operations.log_after(id, 0, 10), SizeIs(0));
    EXPECT_THAT(operations.log_after(other, 0, 10), SizeIs(1));
}

// Several servers, all at it: each operation is carried out once, and no limit is passed.
TEST_P(OperationsTest, ManyServersShareTheWork) {
    constexpr int count = 60;
    for (int i = 0; i < count; ++i) add(fmt::format("source-{}", i % 10));
    std::atomic<int> at_once{0}, most{0}, done{0}, twice{0};
    std::mutex mutex;
    std::set<std::string> seen;
    std::multiset<std::string> busy;
    {
        std::vector<std::jthread> servers;
        for (int s = 0; s < 4; ++s) {
            servers.emplace_back([&, s] {
                Catalog own(url, silent_logger());
                Operations mine(own, clock, random);
                const std::string name = fmt::format("server-{}", s);
                while (done < count) {
                    const auto operation = mine.claim(name, minutes(1), {.at_once = 3});
                    if (!operation) {
                        std::this_thread::yield();
                        continue;
                    }
                    const int now = ++at_once;
                    int before = most;
                    while (now > before && !most.compare_exchange_weak(before, now)) {
                    }
                    {
                        const std::scoped_lock lock(mutex);
                        if (!seen.insert(operation->id).second || busy.contains(*operation->source)) ++twice;
                        busy.insert(*operation->source);
                    }
                    std::this_thread::sleep_for(std::chrono::milliseconds(1));
                    {
                        const std::scoped_lock lock(mutex);
                        busy.erase(busy.find(*operation->source));
                    }
                    --at_once;
                    if (!mine.finish(*operation, OperationState::succeeded, "{}", std::nullopt)) ++twice;
                    ++done;
                }
            });
        }
    }
    EXPECT_EQ(done, count);
    EXPECT_EQ(twice, 0);
    EXPECT_LE(most, 3);
    EXPECT_EQ(operations.counts().at(OperationState::succeeded), count);
}

// Where the catalog has no clock of its own, what was written by a wrong one is still there when it is right.
TEST_P(OperationsTest, WhatAClockPutOffThatWasAheadIsNotKeptWaiting) {
    constexpr Duration leap = std::chrono::hours(3);
    const std::string failed = add("a"), lost = add("b");
    let_pass(leap);
    const Operation first = claim("before").value();
    EXPECT_TRUE(operations.put_back(first, Operations::Why::failed, clock.now() + minutes(5), "{}"));
    ASSERT_TRUE(claim("before"));
    let_pass(-leap);
    std::set<std::string> taken;
    while (const auto again = claim("after")) taken.insert(again->id);
    EXPECT_EQ(taken, (std::set{failed, lost}));
}

// Until it is renewed by the right clock.
TEST_P(OperationsTest, WhatIsUnderWayWhenAClockComesBackIsNotBegunTwice) {
    const std::string held = add("a");
    let_pass(std::chrono::hours(3));
    const Operation ours = claim("server").value();
    let_pass(-std::chrono::hours(3));
    add("a");
    EXPECT_FALSE(claim("server"));
    EXPECT_TRUE(operations.cancel(held));
    EXPECT_FALSE(claim("server"));
    EXPECT_TRUE(operations.renew(ours, minutes(1), {}).cancel_requested);
}

TEST_P(OperationsTest, WhatIsPutOffForAnHourWaits) {
    add("a");
    const Operation first = claim("server").value();
    EXPECT_TRUE(
        operations.put_back(first, Operations::Why::failed, clock.now() + std::chrono::hours(1), "{}"));
    EXPECT_FALSE(claim("server"));
    let_pass(std::chrono::hours(1));
    EXPECT_TRUE(claim("server"));
}

// Several servers share a database, and their clocks are an hour apart in both directions.
class SharedOperationsTest : public OperationsTest {
  protected:
    FakeClock ahead{clock.now() + std::chrono::hours(1)}, behind{clock.now() - std::chrono::hours(1)};
    Operations of_ahead{*catalog, ahead, random}, of_behind{*catalog, behind, random};
};
INSTANTIATE_TEST_SUITE_P(Shared, SharedOperationsTest, testing::Values("postgresql"),
                         [](const auto& which) { return which.param; });

TEST_P(SharedOperationsTest, AClockThatIsWrongTakesNothingFromOthers) {
    for (Operations* const theirs : {&of_ahead, &of_behind, &operations}) {
        const std::string id = add("a");
        const Operation held = theirs->claim("holder", minutes(1), {}).value();
        ASSERT_EQ(held.id, id);
        for (Operations* const others : {&of_ahead, &of_behind, &operations}) {
            EXPECT_FALSE(others->claim("thief", minutes(1), {}));
            EXPECT_TRUE(theirs->renew(held, minutes(1), {}).ours);
            EXPECT_FALSE(others->claim("thief", minutes(1), {}));
        }
        EXPECT_TRUE(theirs->finish(held, OperationState::succeeded, "{}", std::nullopt));
    }
}

TEST_P(SharedOperationsTest, AClockThatIsWrongHoldsNothingForEver) {
    for (Operations* const lost : {&of_ahead, &of_behind}) {
        for (Operations* const heir : {&of_ahead, &of_behind, &operations}) {
            const std::string id = add("a");
            ASSERT_TRUE(lost->claim("lost", minutes(1), {}));
            let_pass(minutes(1));
            const auto taken = heir->claim("heir", minutes(1), {});
            ASSERT_TRUE(taken);
            EXPECT_EQ(taken->id, id);
            EXPECT_TRUE(heir->finish(*taken, OperationState::succeeded, "{}", std::nullopt));
        }
    }
}

// Who ends one has its row, and then wants to write into the trail; who takes the next ones up may be writing
// there, and neither waits for the other.
TEST_P(SharedOperationsTest, WhatIsJustBeingEndedIsNeitherWaitedForNorTakenUp) {
    Audit audit(*catalog, clock);
    const auto enter = [&](Database& database, const Operation& operation) {
        audit.append(database, "server", "operation.end", operation.id, "{}");
    };
    Operations entered(*catalog, clock, random, {.ended = enter});
    add("a");
    add("b");
    const Operation stopped = claim("lost").value(), late = claim("late").value();
    EXPECT_TRUE(entered.cancel(stopped.id));
    let_pass(minutes(2));
    std::promise<void> has_row, may_go_on;
    auto ending = std::async(std::launch::async, [&] {
        return entered.finish(late, OperationState::succeeded, "{}", std::nullopt, [&](Database&) {
            has_row.set_value();
            may_go_on.get_future().wait_for(seconds(30));
        });
    });
    has_row.get_future().wait();
    EXPECT_FALSE(entered.claim("heir", minutes(1), {}));
    may_go_on.set_value();
    EXPECT_TRUE(ending.get());
    EXPECT_EQ(operations.find(stopped.id)->state, OperationState::cancelled);
    EXPECT_EQ(operations.find(late.id)->state, OperationState::succeeded);
    EXPECT_EQ(audit.head().number, 2);
}

TEST_P(SharedOperationsTest, WhatIsAskedForNowIsDoneNowAndWhatIsPutOffIsPutOff) {
    for (const auto& [theirs, time] : {std::pair(&of_ahead, &ahead), std::pair(&of_behind, &behind)}) {
        OperationRequest request;
        request.kind = "backup";
        request.run_after = time->now();
        ASSERT_TRUE(theirs->add(request));
        const auto begun = operations.claim("server", minutes(1), {});
        ASSERT_TRUE(begun);
        EXPECT_TRUE(theirs->put_back(*begun, Operations::Why::failed, time->now() + minutes(5), "{}"));
        EXPECT_FALSE(operations.claim("server", minutes(1), {}));
        let_pass(minutes(5));
        const auto again = operations.claim("server", minutes(1), {});
        ASSERT_TRUE(again);
        EXPECT_TRUE(operations.finish(*again, OperationState::succeeded, "{}", std::nullopt));
    }
}

} // namespace
} // namespace holdfast
