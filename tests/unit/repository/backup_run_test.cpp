#include "repository/backup_run.h"
#include "store/store_decorator.h"
#include "support/content_repository.h"
#include "support/error_matchers.h"
#include "support/hook_store.h"
#include "support/sparse_content.h"

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <semaphore>

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace holdfast {
namespace {

using test::ContentRepository;

// Takes two minutes for each checkpoint.
class SlowStore final : public StoreDecorator {
  public:
    SlowStore(std::shared_ptr<Store> inner, FakeClock& clock)
        : StoreDecorator(std::move(inner)), clock_(clock) {}

  protected:
    void around(StoreCall& call, const std::function<void()>& body) override {
        if (call.verb == StoreVerb::put && call.name.starts_with(checkpoints_prefix))
            clock_.advance(std::chrono::minutes(2));
        body();
    }

  private:
    FakeClock& clock_;
};

std::string commit_code(BackupRun& run, const NodeRef& root) {
    return test::code_of([&] { run.commit(root, {}, SnapshotState::complete); });
}

class BackupRunTest : public testing::Test {
  protected:
    BackupRunTest()
        : files_(1, [this](std::shared_ptr<Store> inner) {
              return std::make_shared<SlowStore>(std::move(inner), files_.clock);
          }) {}
    ContentRepository files_;
};

TEST_F(BackupRunTest, SlowCheckpointsComeLessOften) {
    BackupRunSettings settings = ContentRepository::run_settings();
    settings.checkpoint_interval = std::chrono::minutes(1);
    const std::unique_ptr<BackupRun> run = files_.begin(settings);
    EXPECT_FALSE(run->checkpoint_due());
    files_.clock.advance(std::chrono::minutes(1));
    EXPECT_TRUE(run->checkpoint_due());
    run->save_checkpoint(ContentRepository::root_of(*run, {}));
    files_.clock.advance(std::chrono::minutes(7));
    EXPECT_FALSE(run->checkpoint_due());
    files_.clock.advance(std::chrono::minutes(1));
    EXPECT_TRUE(run->checkpoint_due());
}

TEST_F(BackupRunTest, ARunThatHasLeftCannotCommit) {
    const std::unique_ptr<BackupRun> run = files_.begin();
    const NodeRef root = ContentRepository::root_of(*run, {});
    run->end_early(root);
    EXPECT_EQ(commit_code(*run, root), to_string(ErrorCode::internal));
    EXPECT_TRUE(files_.memory->list_all(std::string(commits_prefix)).empty());
}

// However a run ends, collections must not wait for it.
class EndOfRunTest : public testing::Test {
  protected:
    EndOfRunTest()
        : files_(1, [this](std::shared_ptr<Store> inner) {
              return std::make_shared<test::HookStore>(std::move(inner),
                                                       [this](const StoreCall& call) { hook_(call); });
          }) {}
    static BackupRunSettings locking() {
        BackupRunSettings settings = ContentRepository::run_settings();
        settings.lock = LockSettings{.keep = std::chrono::days(3)};
        return settings;
    }
    static NodeRef write_something(BackupRun& run) {
        const test::SparseContent content = test::SparseContent::of(Bytes(50'000, 7));
        test::SparseSource source(content);
        return ContentRepository::root_of(
            run, {ContentRepository::entry_of("a", run.files().write(source, nullptr, {}))});
    }
    static void fail_on(const StoreCall& call, StoreVerb verb, std::string_view prefix) {
        if (call.verb == verb && call.name.starts_with(prefix))
            throw Error(ErrorCode::io, "planned: " + call.name);
    }
    // Until the call is stopped. One that nobody can stop is noted.
    void hang(const StoreCall& call) {
        if (!call.options.stop.stop_possible()) {
            const std::scoped_lock lock(mutex_);
            endless_.push_back(fmt::format("{} {}", to_string(call.verb), call.name));
            throw Error(ErrorCode::io, "nobody could end this");
        }
        std::mutex waiting;
        std::condition_variable_any never;
        std::unique_lock lock(waiting);
        never.wait(lock, call.options.stop, [] { return false; });
        throw Error(ErrorCode::cancelled, "the call was stopped");
    }
    std::size_t count(std::string_view prefix) { return files_.memory->list_all(std::string(prefix)).size(); }

    // Exchanged while a run's beats call it.
    class Hook {
      public:
        using Function = std::function<void(const StoreCall&)>;
        Hook& operator=(Function function) {
            const std::scoped_lock lock(mutex_);
            function_ = std::make_shared<Function>(std::move(function));
            return *this;
        }
        void operator()(const StoreCall& call) {
            std::unique_lock lock(mutex_);
            const std::shared_ptr<Function> function = function_;
            lock.unlock();
            if (function && *function) (*function)(call);
        }

      private:
        std::mutex mutex_;
        std::shared_ptr<Function> function_;
    };
    Hook hook_;
    std::mutex mutex_;
    std::vector<std::string> endless_;
    ContentRepository files_;
};

TEST_F(EndOfRunTest, DroppedBeforeItsCommit) {
    std::unique_ptr<BackupRun> run = files_.begin();
    ASSERT_EQ(count(intents_prefix), 1U);
    write_something(*run);
    run.reset();
    EXPECT_EQ(count(intents_prefix), 0U);
}

TEST_F(EndOfRunTest, FailedWhileItBegins) {
    for (const std::string_view prefix : {packs_prefix, checkpoints_prefix}) {
        hook_ = [&](const StoreCall& call) { fail_on(call, StoreVerb::list, prefix); };
        EXPECT_EQ(test::code_of([&] { files_.begin(); }), to_string(ErrorCode::io)) << prefix;
        EXPECT_EQ(count(intents_prefix), 0U) << prefix;
    }
}

TEST_F(EndOfRunTest, FailedInItsLastPacks) {
    const std::unique_ptr<BackupRun> run = files_.begin();
    const NodeRef root = write_something(*run);
    hook_ = [&](const StoreCall& call) { fail_on(call, StoreVerb::put, packs_prefix); };
    EXPECT_EQ(commit_code(*run, root), to_string(ErrorCode::io));
    EXPECT_EQ(count(intents_prefix), 0U);
    EXPECT_EQ(count(commits_prefix), 0U);
}

TEST_F(EndOfRunTest, FailedInItsLocksItLeavesACheckpoint) {
    const std::unique_ptr<BackupRun> run = files_.begin(locking());
    const NodeRef root = write_something(*run);
    hook_ = [&](const StoreCall& call) { fail_on(call, StoreVerb::retain, packs_prefix); };
    EXPECT_EQ(commit_code(*run, root), to_string(ErrorCode::io));
    EXPECT_EQ(count(intents_prefix), 0U);
    EXPECT_EQ(count(checkpoints_prefix), 1U);
    hook_ = nullptr;
    const std::unique_ptr<BackupRun> next = files_.begin();
    ASSERT_EQ(next->previous_roots().size(), 1U);
    EXPECT_EQ(next->previous_roots().front(), root);
}

TEST_F(EndOfRunTest, AStopInItsLocksDoesTheSame) {
    std::stop_source stop;
    const std::unique_ptr<BackupRun> run = files_.begin(locking(), stop.get_token());
    const NodeRef root = write_something(*run);
    hook_ = [&](const StoreCall& call) {
        if (call.verb != StoreVerb::retain) return;
        stop.request_stop();
        throw Error(ErrorCode::cancelled, "stopped while it waited");
    };
    EXPECT_EQ(commit_code(*run, root), to_string(ErrorCode::cancelled));
    EXPECT_EQ(count(intents_prefix), 0U);
    EXPECT_EQ(count(checkpoints_prefix), 1U);
}

// All that is left to do is to wait for packs that were handed over long before.
TEST_F(EndOfRunTest, AStopInItsLastPacksDoesTheSame) {
    std::stop_source stop;
    const std::unique_ptr<BackupRun> run = files_.begin(ContentRepository::run_settings(), stop.get_token());
    const NodeRef root = write_something(*run);
    hook_ = [&](const StoreCall& call) {
        if (call.verb == StoreVerb::put && call.name.starts_with(packs_prefix)) stop.request_stop();
    };
    EXPECT_EQ(commit_code(*run, root), to_string(ErrorCode::cancelled));
    EXPECT_EQ(count(intents_prefix), 0U);
    EXPECT_EQ(count(commits_prefix), 0U);
    EXPECT_EQ(count(checkpoints_prefix), 1U);
}

// It may be in the store all the same, and a collection must not take its data away.
TEST_F(EndOfRunTest, ACommitThatFailedKeepsItsIntent) {
    std::unique_ptr<BackupRun> run = files_.begin();
    const NodeRef root = write_something(*run);
    hook_ = [&](const StoreCall& call) { fail_on(call, StoreVerb::put, commits_prefix); };
    EXPECT_EQ(commit_code(*run, root), to_string(ErrorCode::io));
    run.reset();
    EXPECT_EQ(count(intents_prefix), 1U);
}

// A stop before both must not leave a commit that is not locked.
TEST_F(EndOfRunTest, ACommitAndItsLockHaveOneGrace) {
    const std::unique_ptr<BackupRun> run = files_.begin(locking());
    const NodeRef root = write_something(*run);
    std::stop_token of_commit, of_lock;
    hook_ = [&](const StoreCall& call) {
        if (!call.name.starts_with(commits_prefix)) return;
        EXPECT_TRUE(call.options.stop.stop_possible());
        if (call.verb == StoreVerb::put) of_commit = call.options.stop;
        if (call.verb == StoreVerb::retain) of_lock = call.options.stop;
    };
    run->commit(root, {}, SnapshotState::complete);
    EXPECT_TRUE(of_commit == of_lock);
    EXPECT_FALSE(of_commit == std::stop_token());
}

// Taking the intent back has a time of its own, behind that of all else.
TEST_F(EndOfRunTest, StoppedWhereTheLastCheckpointTakesAllItsTime) {
    BackupRunSettings settings = ContentRepository::run_settings();
    settings.stop_grace = Duration::zero();
    settings.leave_grace = std::chrono::hours(1);
    std::stop_source stop;
    const std::unique_ptr<BackupRun> run = files_.begin(settings, stop.get_token());
    const NodeRef root = write_something(*run);
    hook_ = [&](const StoreCall& call) {
        if (call.verb == StoreVerb::put && call.name.starts_with(packs_prefix)) hang(call);
    };
    stop.request_stop();
    run->end_early(root);
    EXPECT_EQ(count(checkpoints_prefix), 0U);
    EXPECT_EQ(count(intents_prefix), 0U);
}

TEST_F(EndOfRunTest, WhoIsInAHurryDoesNotWaitForAllOfTheGrace) {
    BackupRunSettings settings = ContentRepository::run_settings();
    settings.stop_grace = settings.leave_grace = std::chrono::hours(1);
    settings.hurry_grace = Duration::zero();
    std::stop_source stop, hurry;
    settings.hurry = hurry.get_token();
    const std::unique_ptr<BackupRun> run = files_.begin(settings, stop.get_token());
    const NodeRef root = write_something(*run);
    hook_ = [&](const StoreCall& call) {
        if (call.verb != StoreVerb::put || !call.name.starts_with(packs_prefix)) return;
        hurry.request_stop();
        stop.request_stop();
        hang(call);
    };
    EXPECT_EQ(commit_code(*run, root), to_string(ErrorCode::cancelled));
    EXPECT_EQ(count(checkpoints_prefix), 0U);
    EXPECT_EQ(count(intents_prefix), 0U);
}

TEST_F(EndOfRunTest, StoppedInAListingThatTakesLong) {
    BackupRunSettings settings = ContentRepository::run_settings();
    settings.stop_grace = Duration::zero();
    settings.leave_grace = std::chrono::hours(1);
    for (const std::string_view prefix : {packs_prefix, checkpoints_prefix}) {
        std::stop_source stop;
        hook_ = [&](const StoreCall& call) {
            if (call.verb != StoreVerb::list || !call.name.starts_with(prefix)) return;
            stop.request_stop();
            hang(call);
        };
        EXPECT_EQ(test::code_of([&] { files_.begin(settings, stop.get_token()); }),
                  to_string(ErrorCode::cancelled))
            << prefix;
        EXPECT_EQ(count(intents_prefix), 0U) << prefix;
    }
}

// The store hangs, and nothing but a stop ends a call. What may be ended is, at once where there is no grace.
TEST_F(EndOfRunTest, NoCallOutlastsItsGrace) {
    BackupRunSettings settings = ContentRepository::run_settings();
    settings.stop_grace = settings.commit_grace = settings.leave_grace = Duration::zero();
    {
        std::stop_source stop;
        const std::unique_ptr<BackupRun> run = files_.begin(settings, stop.get_token());
        const NodeRef root = write_something(*run);
        hook_ = [&](const StoreCall& call) { hang(call); };
        stop.request_stop();
        run->end_early(root);
    }
    hook_ = nullptr;
    {
        std::stop_source stop;
        const std::unique_ptr<BackupRun> run = files_.begin(settings, stop.get_token());
        const NodeRef root = write_something(*run);
        run->save_checkpoint(root);
        hook_ = [&](const StoreCall& call) {
            if (!call.name.starts_with(commits_prefix)) return;
            stop.request_stop();
            hang(call);
        };
        EXPECT_EQ(test::code_of([&] { run->commit(root, {}, SnapshotState::complete); }),
                  to_string(ErrorCode::cancelled));
    }
    hook_ = nullptr;
    {
        // Beats, which come from a thread of their own.
        settings.beat_interval = std::chrono::milliseconds(1);
        std::stop_source stop;
        const auto real = std::make_unique<Repository>(
            files_.store, unlock(*files_.store, ContentRepository::credential()),
            LocalDirectories{files_.scratch.file("cache"), files_.scratch.path().string()}, system_clock(),
            files_.random, silent_logger());
        std::binary_semaphore beating{0};
        std::atomic<bool> told = false;
        BackupRun run(*real, settings, stop.get_token());
        hook_ = [&](const StoreCall& call) {
            if (call.verb == StoreVerb::put && call.name.starts_with(intents_prefix) && !told.exchange(true))
                beating.release();
            hang(call);
        };
        beating.acquire();
        stop.request_stop();
    }
    hook_ = nullptr;
    EXPECT_TRUE(endless_.empty()) << fmt::format("{}", fmt::join(endless_, ", "));
}

TEST_F(EndOfRunTest, NoReadOutlastsItsGrace) {
    BackupRunSettings settings = ContentRepository::run_settings();
    settings.stop_grace = settings.leave_grace = Duration::zero();
    {
        const std::unique_ptr<BackupRun> run = files_.begin(settings);
        run->save_checkpoint(write_something(*run));
    }
    for (const StoreVerb verb : {StoreVerb::head, StoreVerb::get}) {
        std::stop_source stop;
        const auto stop_and_hang = [&](const StoreCall& call) {
            if (call.verb != verb || !call.name.starts_with(packs_prefix)) return;
            stop.request_stop();
            hang(call);
        };
        files_.reopen();
        hook_ = stop_and_hang;
        EXPECT_EQ(test::code_of([&] { files_.begin(settings, stop.get_token()); }),
                  to_string(ErrorCode::cancelled))
            << "looking through a checkpoint";
        hook_ = nullptr;
        stop = std::stop_source();
        BackupRunSettings locking = settings;
        locking.ignore_previous = true;
        locking.lock = LockSettings{.keep = std::chrono::days(3)};
        const std::unique_ptr<BackupRun> run = files_.begin(locking, stop.get_token());
        const NodeRef root = write_something(*run);
        hook_ = stop_and_hang;
        EXPECT_EQ(test::code_of([&] { run->commit(root, {}, SnapshotState::complete); }),
                  to_string(ErrorCode::cancelled))
            << "looking through what is to be locked";
        hook_ = nullptr;
    }
    EXPECT_TRUE(endless_.empty()) << fmt::format("{}", fmt::join(endless_, ", "));
}

} // namespace
} // namespace holdfast
