#include "repository/backup_run.h"
#include "store/store_decorator.h"
#include "support/content_repository.h"
#include "support/error_matchers.h"

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
    EXPECT_EQ(test::code_of([&] { run->commit(root, {}, SnapshotState::complete); }),
              to_string(ErrorCode::internal));
    EXPECT_TRUE(files_.memory->list_all(std::string(commits_prefix)).empty());
}

} // namespace
} // namespace holdfast
