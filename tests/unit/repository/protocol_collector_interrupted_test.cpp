// Collections that are killed, stopped or overtaken.

#include "support/collector_fixture.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace holdfast {
namespace {

using testing::IsEmpty;
using testing::SizeIs;

// Dies before every write in turn; whatever is left, the snapshot that counts can be read, and the next
// collection ends the work.
TEST_F(CollectorTest, KilledAnywhereTheNextOneGoesOn) {
    const Snapshot gone = back_up("home", {1, 2, 3});
    const Snapshot kept = back_up("home", {2});
    forget_snapshot(writer(), gone.id, false);
    const auto objects = store.objects;
    const auto modified = store.modified;
    settings.collector_patience = Duration::zero();
    for (unsigned last = 0;; ++last) {
        store.objects = objects;
        store.modified = modified;
        unsigned writes = 0;
        store.before_write = [&](std::string_view, const std::string&) {
            if (writes++ == last) throw Killed{};
        };
        bool killed = false;
        try {
            collect();
        } catch (const Killed&) {
            killed = true;
        }
        store.before_write = {};
        EXPECT_EQ(read(kept), std::vector<tiny::Content>{2}) << "killed before write " << last;
        collect();
        EXPECT_EQ(read(kept), std::vector<tiny::Content>{2}) << "after going on from write " << last;
        // Copied data, copied or old metadata: of the forgotten snapshot nothing.
        EXPECT_THAT(names(packs_prefix), SizeIs(2)) << "killed before write " << last;
        EXPECT_THAT(names(condemned_prefix), IsEmpty());
        EXPECT_THAT(names(intents_prefix), IsEmpty());
        if (!killed) {
            EXPECT_GT(last, 10u);
            break;
        }
    }
}

// Stopped at every write in turn: before the verdict it takes back all it did, behind it the next one goes
// on.
TEST_F(CollectorTest, StoppedAnywhereItEndsCleanly) {
    const Snapshot gone = back_up("home", {1, 2, 3});
    const Snapshot kept = back_up("home", {2});
    forget_snapshot(writer(), gone.id, false);
    const auto objects = store.objects;
    const auto modified = store.modified;
    for (unsigned last = 0;; ++last) {
        store.objects = objects;
        store.modified = modified;
        unsigned writes = 0;
        std::stop_source stop;
        store.before_write = [&](std::string_view, const std::string&) {
            if (writes++ == last) stop.request_stop();
        };
        bool stopped = false;
        Progress progress;
        try {
            collect_garbage(collector(), settings, progress, stop.get_token());
        } catch (const Error& error) {
            EXPECT_EQ(error.code(), ErrorCode::cancelled) << error.message();
            stopped = true;
        }
        store.before_write = {};
        EXPECT_EQ(read(kept), std::vector<tiny::Content>{2});
        // Those of the two writers, which have ended, go at last.
        for (const std::string& name : names(intents_prefix))
            EXPECT_TRUE(objects.contains(name)) << "stopped at write " << last << ": " << name;
        if (names(verdicts_prefix).empty()) {
            EXPECT_TRUE(stopped);
            EXPECT_THAT(names(condemned_prefix), IsEmpty());
            for (const auto& [name, _] : objects) EXPECT_TRUE(store.objects.contains(name)) << name;
        }
        EXPECT_FALSE(collect().postponed) << "nothing has to be waited for";
        EXPECT_EQ(read(kept), std::vector<tiny::Content>{2});
        EXPECT_THAT(names(packs_prefix), SizeIs(2)) << "stopped at write " << last;
        if (!stopped) {
            EXPECT_GT(last, 10u);
            break;
        }
    }
}

TEST_F(CollectorTest, OneThatSleptIsStopped) {
    const Snapshot gone = back_up("home", {1});
    back_up("home", {2});
    forget_snapshot(writer(), gone.id, false);
    bool overtaken = false;
    store.before_write = [&](std::string_view verb, const std::string& name) {
        if (overtaken || verb != "put" || !name.starts_with(verdicts_prefix)) return;
        overtaken = true;
        settings.collector_patience = Duration::zero();
        EXPECT_EQ(collect().deleted_packs, 2u);
    };
    EXPECT_EQ(code_of([&] { collect(); }), ErrorCode::fenced);
    EXPECT_TRUE(overtaken);
}

} // namespace
} // namespace holdfast
