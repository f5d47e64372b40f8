// What earlier collections left, or what only looks like it.

#include "support/collector_fixture.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace holdfast {
namespace {

using testing::IsEmpty;
using testing::SizeIs;

// A moved pack whose frames die later: the note of where it went goes with them.
class MovedNoteTest : public CollectorTest {
  protected:
    // A snapshot of which all lies in a pack that a collection has made. Another is there for good.
    Snapshot moved_snapshot() {
        back_up("elsewhere", {9});
        const Snapshot gone = back_up("home", {1, 2, 3, 4});
        Snapshot kept = back_up("home", {2});
        forget_snapshot(writer(), gone.id, false);
        EXPECT_EQ(collect().rewritten_packs, 1u);
        EXPECT_THAT(names(moved_prefix), SizeIs(1));
        return kept;
    }
};

TEST_F(MovedNoteTest, WhoFinishesAnothersVerdictDropsItToo) {
    forget_snapshot(writer(), moved_snapshot().id, true);
    collect_and_die_behind_the_verdict();
    // All that the next one comes to do is what the other had decided.
    const RepositoryContext context = writer();
    RunContext run = admin->ring.begin_run(random);
    const auto session = WriterSession::begin(context, run, "test", Duration::zero());
    EXPECT_TRUE(collect().postponed);
    EXPECT_THAT(names(condemned_prefix), IsEmpty()) << "it is finished";
    EXPECT_THAT(names(moved_prefix), IsEmpty());
    session->leave();
}

TEST_F(MovedNoteTest, OneThatWasLockedGoesWhenItCan) {
    forget_snapshot(writer(), moved_snapshot().id, true);
    store.before_write = [&](std::string_view verb, const std::string& name) {
        if (verb == "remove" && name.starts_with(moved_prefix))
            throw Error(ErrorCode::access_denied, "locked");
    };
    // As often as it takes for nobody to remember the move.
    for (int i = 0; i < 4; ++i) collect();
    EXPECT_TRUE(read_verdicts(writer()).moves().empty());
    store.before_write = {};
    EXPECT_THAT(names(moved_prefix), SizeIs(1));
    collect();
    EXPECT_THAT(names(moved_prefix), IsEmpty());
}

// Whoever may write to the store can put anything where a collection is to be ended.
TEST_F(CollectorTest, ANameThatCannotBeTakenIsToldAndNotTriedForEver) {
    back_up("home", {1});
    add(Role::write, 3, "writer");
    const Unlocked stranger = open(3);
    *pruner = open(9);
    const RunContext dead = pruner->ring.begin_run(random);
    const RepositoryContext context = collector();
    const RunIntent intent(context, dead, RunRole::collector, "test", Duration::zero());
    const RunContext other = stranger.ring.begin_run(random);
    const std::string name = verdict_name(dead.id());
    store.put(name, sign_object(ObjectKind::verdict, name, encode_verdict({}), other));
    settings.collector_patience = Duration::zero();
    unsigned writes = 0;
    store.before_write = [&](std::string_view, const std::string&) {
        if (++writes == 1000) throw Killed{};
    };
    try {
        collect();
        ADD_FAILURE() << "it was passed over";
    } catch (const Error& error) {
        EXPECT_EQ(error.code(), ErrorCode::corrupt);
        EXPECT_THAT(error.message(), testing::HasSubstr(name));
    }
    store.before_write = {};
    store.objects.erase(name);
    EXPECT_FALSE(collect().postponed);
}

TEST_F(CollectorTest, AnIntentThatIsListedAndCannotBeReadIsNotAskedForEver) {
    back_up("home", {1});
    const RunContext dead = pruner->ring.begin_run(random);
    const RepositoryContext context = collector();
    const RunIntent intent(context, dead, RunRole::collector, "test", Duration::zero());
    // Reads are not shown what a listing still has.
    class Lagging final : public StoreDecorator {
      public:
        Lagging(Store& inner, std::string name)
            : StoreDecorator({&inner, [](Store*) {}}), name_(std::move(name)) {}
        std::optional<Bytes> get(const std::string& name, ByteRange range,
                                 const CallOptions& options) override {
            if (name == name_) return std::nullopt;
            return StoreDecorator::get(name, range, options);
        }

      protected:
        void around(StoreCall&, const std::function<void()>& body) override { body(); }

      private:
        const std::string name_;
    };
    Lagging lagging(store, intent.newest_name());
    const RepositoryContext seen{lagging, pruner->ring, pruner->trust, clock, random, {}};
    unsigned writes = 0;
    store.before_write = [&](std::string_view, const std::string&) {
        if (++writes == 1000) throw Killed{};
    };
    settings.wait = std::chrono::minutes(5);
    const Duration before = clock.steady();
    Progress progress;
    EXPECT_TRUE(collect_garbage(seen, settings, progress).postponed);
    EXPECT_GE(clock.steady() - before, settings.wait);
    EXPECT_LT(writes, 100u) << "one look in each interval";
}

} // namespace
} // namespace holdfast
