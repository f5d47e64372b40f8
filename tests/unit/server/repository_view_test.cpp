// What the server sees of its repository when a part of the look fails.
#include "server/own_deeds.h"
#include "server/repository_view.h"
#include "support/document_repository.h"
#include "support/hook_store.h"

#include <atomic>
#include <future>
#include <thread>

#include <fmt/format.h>

namespace holdfast::test {
namespace {

template <typename Condition>
void wait_for(const Condition& holds) {
    for (int i = 0; i < 3000 && !holds(); ++i) std::this_thread::sleep_for(std::chrono::milliseconds(10));
    EXPECT_TRUE(holds());
}

// Of a repository with one snapshot.
class RepositoryObserverTest : public testing::Test {
  protected:
    RepositoryObserverTest() {
        documents.write_file("a", 100'000, 1);
        documents.back_up();
    }
    OpenRepository open() {
        return {.repository = std::make_unique<Repository>(
                    store, unlock(*store, DocumentRepository::passphrase()),
                    LocalDirectories{documents.scratch.file("cache"), documents.scratch.path().string()},
                    system_clock(), documents.random, silent_logger()),
                .store = {}};
    }
    const std::vector<AnnotatedSnapshot>& seen() {
        last = observer.view();
        return last->measurements.snapshots;
    }

    DocumentRepository documents;
    std::function<void(const StoreCall&)> on_call = [](const StoreCall&) {};
    std::shared_ptr<HookStore> store =
        std::make_shared<HookStore>(documents.store, [this](const StoreCall& call) { on_call(call); });
    FakeClock clock{Timestamp(std::chrono::hours(1))};
    RepositoryObserver observer{[this] { return open(); }, clock};
    std::shared_ptr<const RepositoryView> last;
};

TEST_F(RepositoryObserverTest, WhatIsLearntIsToldAtOnceAndUntilALookThatBeginsLater) {
    int applied = 0;
    const auto forget_all = [&](ProtectionStatus& status) {
        ++applied;
        status.snapshots.clear();
    };
    observer.learn(forget_all); // before there is a view
    EXPECT_EQ(observer.view(), nullptr);
    observer.look({}, {}, {});
    EXPECT_EQ(seen().size(), 1U) << "it was so before the look, which saw otherwise";

    const auto before = observer.view();
    observer.learn(forget_all);
    EXPECT_TRUE(seen().empty());
    EXPECT_EQ(before->measurements.snapshots.size(), 1U) << "who has a view keeps it as it was";

    // While a look is under way, which has seen the one already or not.
    bool listed = false;
    on_call = [&](const StoreCall& call) {
        if (listed || !call.name.starts_with("commits/")) return;
        listed = true;
        observer.learn(forget_all);
    };
    observer.look({}, {}, {});
    EXPECT_TRUE(listed);
    EXPECT_TRUE(seen().empty());
    const int until_now = applied;
    observer.look({}, {}, {});
    EXPECT_EQ(seen().size(), 1U);
    EXPECT_EQ(applied, until_now);
}

TEST_F(RepositoryObserverTest, WhatIsLearntStaysWhenALookFails) {
    observer.look({}, {}, {});
    observer.learn([](ProtectionStatus& status) { status.snapshots.clear(); });
    on_call = [](const StoreCall&) { throw Error(ErrorCode::unavailable, "the store is away", {}, true); };
    EXPECT_THROW(observer.look({}, {}, {}), Error);
    EXPECT_TRUE(seen().empty());
}

Operation of_kind(const char* kind) {
    Operation operation;
    operation.kind = kind;
    return operation;
}

// The end of a backup that made `id`.
ExecutionOutcome made(const RunId& id) {
    return {.state = OperationState::succeeded, .result = fmt::format(R"({{"id":"{}"}})", id.hex())};
}

TEST_F(RepositoryObserverTest, ABackupOfThisServerIsListedBeforeTheNextLook) {
    observer.look({}, {}, {});
    RepositoryDesk desk{[this] { return open(); }, {}, clock};
    NewSnapshots reader(observer, desk, silent_logger());
    const Operation backup = of_kind("backup");
    documents.write_file("b", 1000, 2);
    const RunId id = documents.back_up().id;
    reader.learn(backup, made(id));
    EXPECT_EQ(seen().size(), 1U) << "nobody reads yet";
    const std::jthread reading([&](const std::stop_token& stop) { reader.run(stop); });
    wait_for([&] {
        reader.learn(backup, made(id));
        return seen().size() == 2;
    });
    EXPECT_EQ(seen().front().snapshot.id, id) << "newest first";
    // What is there already, what is not there, and what says nothing that makes sense.
    reader.learn(backup, made(id));
    reader.learn(backup, made(RunId{}));
    reader.learn(backup, {.state = OperationState::succeeded, .result = "[]"});
    reader.learn(backup, {.state = OperationState::failed, .result = {}});
    EXPECT_EQ(seen().size(), 2U);
}

TEST_F(RepositoryObserverTest, AStoreThatTakesItsTimeHoldsUpNoEndForLong) {
    observer.look({}, {}, {});
    documents.write_file("b", 1000, 2);
    const RunId id = documents.back_up().id;
    std::promise<void> go_on;
    std::atomic<bool> opening = false;
    RepositoryDesk desk{[&] {
                            opening = true;
                            go_on.get_future().wait();
                            return open();
                        },
                        {},
                        clock};
    NewSnapshots reader(observer, desk, silent_logger());
    const std::jthread reading([&](const std::stop_token& stop) { reader.run(stop); });
    wait_for([&] {
        reader.learn(of_kind("backup"), made(id)); // returns
        return opening.load();
    });
    EXPECT_EQ(seen().size(), 1U);
    go_on.set_value();
    wait_for([&] { return seen().size() == 2; });
}

TEST_F(RepositoryObserverTest, WhatAnOperationForgotIsGoneAtOnce) {
    observer.look({}, {}, {});
    const std::string id = seen().front().snapshot.id.hex();
    learn_what_is_gone(observer, of_kind("retention"),
                       {.state = OperationState::succeeded, .result = R"({"sources":7})"});
    EXPECT_EQ(seen().size(), 1U);
    learn_what_is_gone(
        observer, of_kind("retention"),
        {.state = OperationState::succeeded,
         .result = fmt::format(
             R"({{"sources":[{{"source":"x","snapshots":[{{"id":"{}","forgotten":true}}]}}]}})", id)});
    EXPECT_TRUE(seen().empty());
}

TEST_F(RepositoryObserverTest, WhatIsSeenDoesNotFailWithWhatIsLookedAtLessOften) {
    bool broken = false;
    on_call = [&](const StoreCall& call) {
        if (broken && call.name.starts_with("probe/"))
            throw Error(ErrorCode::unavailable, "the store takes nothing now", {}, true);
    };
    observer.look({}, {}, {});
    const auto bytes = observer.view()->measurements.repository.bytes;
    const auto offset = observer.view()->clock_offset_seconds;
    ASSERT_TRUE(bytes);
    ASSERT_TRUE(offset);
    EXPECT_GT(*bytes, 100'000U);

    broken = true;
    documents.write_file("b", 100'000, 2);
    documents.back_up();
    clock.advance(std::chrono::hours(2));
    observer.look({}, {}, {});
    EXPECT_EQ(observer.view()->measurements.snapshots.size(), 2U);
    // Counting takes nothing but reading.
    EXPECT_GT(observer.view()->measurements.repository.bytes, bytes);
    EXPECT_EQ(observer.view()->clock_offset_seconds, offset);
}

} // namespace
} // namespace holdfast::test
