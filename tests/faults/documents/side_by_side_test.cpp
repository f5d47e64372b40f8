// Writers and collectors at the same time, and clocks that disagree.
#include "base/error.h"
#include "support/bad_day.h"
#include "support/hook_store.h"

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <mutex>
#include <thread>

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace holdfast::test {
namespace {

using namespace std::chrono_literals;

CollectorSettings patient() {
    CollectorSettings settings = BadDay::collection();
    settings.patience = 24h;
    settings.wait = 300ms;
    settings.poll_interval = 2ms;
    return settings;
}

class SideBySide : public testing::Test {
  protected:
    SideBySide() { day.make_tree(); }

    struct Made {
        Snapshot snapshot;
        TreeListing tree;
    };
    // Backs up a tree of its own, changed each time, and forgets what is older than three rounds.
    void write_rounds(const std::string& source, unsigned number, unsigned rounds) {
        const std::string directory = "own-" + std::to_string(number);
        DocumentsBackup what = day.request(source);
        what.paths = {day.source() + "/" + directory};
        what.run.checkpoint_interval = Duration::zero();
        std::vector<Made> mine;
        for (unsigned round = 0; round < rounds; ++round) {
            for (unsigned i = 0; i < 4; ++i) {
                // The same content comes and goes in both trees.
                day.write_random(fmt::format("{}/{}", directory, i), 90'000, (round + i + number) % 5);
            }
            BadDay::let_times_settle();
            mine.push_back({day.back_up(day.store, what).report.snapshot, list_tree(what.paths.front())});
            if (mine.size() > 3) {
                forget_snapshot(day.open()->context(), mine.front().snapshot.id, false);
                mine.erase(mine.begin());
            }
        }
        const std::scoped_lock lock(mutex);
        made.insert(made.end(), mine.begin(), mine.end());
        directories.insert(directories.end(), mine.size(), directory);
    }

    void expect_all_restore() {
        ASSERT_EQ(day.snapshots().size(), made.size());
        for (std::size_t i = 0; i < made.size(); ++i) {
            const BadDay::Restored restored = day.restore(day.store, made[i].snapshot);
            EXPECT_EQ(restored.result.failed, 0u);
            EXPECT_EQ(difference(made[i].tree, list_tree(restored.directory + "/" + directories[i])), "");
        }
        EXPECT_EQ(day.damages(), "");
    }

    void run_two_writers_and_a_collector(const std::string& one, const std::string& other) {
        std::atomic<bool> done = false;
        unsigned collections = 0, deleted = 0;
        std::optional<std::string> failure;
        std::thread collector([&] {
            try {
                while (!done) {
                    const CollectorReport report = day.prune(day.store, patient());
                    ++collections;
                    deleted += static_cast<unsigned>(report.deleted_packs);
                }
            } catch (const Error& error) {
                failure = error.message();
            }
        });
        std::thread first([&] { write_rounds(one, 1, 12); });
        std::thread second([&] { write_rounds(other, 2, 12); });
        first.join();
        second.join();
        done = true;
        collector.join();
        EXPECT_EQ(failure.value_or(""), "");
        EXPECT_GT(collections, 1u);
        expect_all_restore();
        const CollectorReport last = day.prune(day.store);
        EXPECT_FALSE(last.postponed);
        EXPECT_GT(deleted + last.deleted_packs, 0u);
        expect_all_restore();
    }

    BadDay day;
    std::mutex mutex;
    std::vector<Made> made;
    std::vector<std::string> directories;
};

TEST_F(SideBySide, TwoSourcesAndACollector) { run_two_writers_and_a_collector("one", "two"); }

TEST_F(SideBySide, OneSourceFromTwoMachinesAndACollector) { run_two_writers_and_a_collector("same", "same"); }

// Whichever clock is off, a backup that gives signs of life is waited for, and nothing of it is lost.
TEST_F(SideBySide, ClocksAnHourOff) {
    for (const auto& [writer_off, collector_off] :
         {std::pair{1h, 0h}, std::pair{-1h, 0h}, std::pair{0h, 1h}, std::pair{0h, -1h}, std::pair{1h, -1h},
          std::pair{-1h, 1h}}) {
        SCOPED_TRACE(fmt::format("writer {} h, collector {} h", writer_off.count(), collector_off.count()));
        FakeClock writer_clock(system_clock().now() + writer_off);
        FakeClock collector_clock(system_clock().now() + collector_off);
        const Snapshot before = day.back_up();
        day.change_tree();
        day.write_random("photos/b.jpg", 200'000,
                         static_cast<std::uint64_t>(writer_off.count() * 3 + collector_off.count() + 9));
        BadDay::let_times_settle();
        std::vector<CollectorReport> reports;
        bool inside = false;
        const auto collect = [&] {
            const auto repository = day.open(day.store, collector_clock);
            CollectorSettings settings = BadDay::collection();
            settings.patience = 30min;
            Progress progress;
            reports.push_back(collect_garbage(repository->context(), settings, progress));
        };
        auto beside = std::make_shared<HookStore>(day.store, [&](const StoreCall& call) {
            if (call.verb == StoreVerb::put && call.name.starts_with("commits/") && !inside) {
                inside = true;
                collect();
            }
        });
        const auto repository = day.open(beside, writer_clock);
        DocumentsBackup what = day.request();
        what.run.pipeline.workers = 1;
        Progress progress;
        const Snapshot committed = back_up_documents(*repository, what, progress, {}).report.snapshot;
        ASSERT_EQ(reports.size(), 1u);
        EXPECT_TRUE(reports[0].postponed);
        EXPECT_TRUE(reports[0].fenced.empty());
        EXPECT_EQ(reports[0].deleted_packs, 0u);
        EXPECT_EQ(day.restore_differs(committed, day.tree()), "");
        // The newest is the one that came last, whatever its clock said.
        EXPECT_EQ(day.open()->find_snapshot("latest", "home").id, committed.id);
        EXPECT_EQ(committed.sequence, before.sequence + 1);
        forget_snapshot(day.open()->context(), before.id, false);
        collect();
        EXPECT_FALSE(reports[1].postponed);
        EXPECT_EQ(day.restore_differs(committed, day.tree()), "");
        EXPECT_EQ(day.damages(), "");
        // change_tree wants its files back.
        day.write_file("notes/7.txt", "again");
    }
}

// A machine that slept through a collection learns that it was given up, and its next backup is fine.
TEST_F(SideBySide, AWriterThatSleptIsFenced) {
    const Snapshot first = day.back_up();
    day.change_tree();
    bool collected = false;
    auto beside = std::make_shared<HookStore>(day.store, [&](const StoreCall& call) {
        if (call.verb != StoreVerb::put || !call.name.starts_with("commits/") || collected) return;
        collected = true;
        EXPECT_EQ(day.prune(day.store).fenced.size(), 1u); // its patience is nought
    });
    try {
        day.back_up(beside, day.request());
        FAIL() << "a fenced run has committed";
    } catch (const Error& error) {
        EXPECT_EQ(error.code(), ErrorCode::fenced) << error.message();
        EXPECT_FALSE(error.hint().empty());
    }
    EXPECT_EQ(day.snapshots().size(), 1u);
    const Snapshot next = day.back_up();
    EXPECT_EQ(day.restore_differs(next, day.tree()), "");
    EXPECT_EQ(day.damages(), "");
}

} // namespace
} // namespace holdfast::test
