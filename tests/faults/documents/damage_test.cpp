// What a store gives back wrong is noticed: a restored file is right, or it is not there and that is said.
#include "base/error.h"
#include "support/bad_day.h"

#include <filesystem>
#include <set>

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace holdfast::test {
namespace {

class DamagedReads : public testing::Test {
  protected:
    DamagedReads() {
        day.make_tree();
        day.write_random("large", 17u << 20, 9);
        BadDay::let_times_settle();
        snapshot = day.back_up();
        tree = day.tree();
    }

    // Restores over `faults`; whether everything came back.
    bool expect_right_or_absent(const std::shared_ptr<FaultStore>& faults) {
        std::optional<BadDay::Restored> restored;
        try {
            restored = day.restore(faults, snapshot);
        } catch (const Error& error) {
            // Nothing could be restored, and it says why.
            EXPECT_FALSE(error.message().empty());
            return false;
        }
        std::set<std::string> reported;
        for (const RestoreProblem& problem : restored->result.problems) reported.insert(problem.path);
        EXPECT_EQ(restored->result.failed, reported.size());
        const TreeListing found = list_tree(restored->directory);
        bool whole = true;
        for (const auto& [path, line] : tree) {
            const auto entry = found.find(path);
            if (entry != found.end() && entry->second == line) continue;
            whole = false;
            if (line.starts_with("04")) continue; // a directory that lost an entry may have another time
            EXPECT_EQ(entry, found.end()) << path << " is wrong: " << entry->second << "\nexpected " << line;
            EXPECT_TRUE(is_reported(path, reported)) << path << " is missing, and nothing says so";
        }
        std::filesystem::remove_all(day.scratch.file("restored-0"));
        if (whole) {
            EXPECT_EQ(restored->result.failed, 0u);
        }
        std::filesystem::remove_all(restored->directory);
        return whole;
    }
    // It, or a directory that it lies in.
    bool is_reported(const std::string& path, const std::set<std::string>& reported) const {
        std::string full = day.source() + "/" + path;
        for (; full.size() > 1; full.resize(full.rfind('/'))) {
            if (reported.contains(full) || reported.contains(full.substr(1))) return true;
        }
        return reported.contains("/") || reported.contains("");
    }

    BadDay day;
    Snapshot snapshot;
    TreeListing tree;
};

TEST_F(DamagedReads, ABitThatTurnsInAnyReadOfARestore) {
    std::uint64_t read = 0, wrong = 0;
    for (;; ++read) {
        SCOPED_TRACE(read);
        auto faults = std::make_shared<FaultStore>(day.store);
        faults->plan({.kind = FaultKind::flip_bit,
                      .verb = StoreVerb::get,
                      .name_prefix = "packs/",
                      .skip = read,
                      .times = 1'000'000,
                      .position = 8'000 * (read + 1) + read % 8});
        const bool whole = expect_right_or_absent(faults);
        if (!faults->unfired().empty() || HasFailure()) break;
        if (!whole) ++wrong;
    }
    EXPECT_GT(read, 20u);
    EXPECT_EQ(wrong, read); // whatever was read was needed
}

TEST_F(DamagedReads, AReadThatIsCutShort) {
    std::uint64_t read = 0;
    for (;; read += 3) {
        SCOPED_TRACE(read);
        auto faults = std::make_shared<FaultStore>(day.store);
        faults->plan({.kind = FaultKind::short_read,
                      .verb = StoreVerb::get,
                      .name_prefix = "packs/",
                      .skip = read,
                      .position = 40});
        expect_right_or_absent(faults);
        if (!faults->unfired().empty() || HasFailure()) break;
    }
    EXPECT_GT(read, 20u);
}

TEST_F(DamagedReads, AnyPackThatWasCutOrIsGone) {
    const BadDay::Objects intact = day.save();
    for (const std::string& pack : day.names("packs/")) {
        SCOPED_TRACE(pack);
        for (const std::size_t left :
             {std::size_t{0}, intact.at(pack).size() / 2, intact.at(pack).size() - 1}) {
            BadDay::Objects damaged = intact;
            damaged[pack].resize(left);
            if (left == 0) damaged.erase(pack);
            day.load(damaged);
            EXPECT_FALSE(expect_right_or_absent(std::make_shared<FaultStore>(day.store)));
            EXPECT_NE(day.damages().find(left == 0 ? "" : pack), std::string::npos);
            EXPECT_NE(day.damages(), "");
        }
    }
}

// A store that shows a part of an object whose put failed, and a program that was killed with it.
TEST_F(DamagedReads, APackThatWasTornWhenItsWriterDied) {
    const BadDay::Objects before = day.save();
    day.change_tree();
    const TreeListing changed = day.tree();
    std::uint64_t pack = 0;
    for (;; ++pack) {
        SCOPED_TRACE(pack);
        day.load(before);
        auto faults = std::make_shared<FaultStore>(day.store);
        faults->plan({.kind = FaultKind::die_torn,
                      .verb = StoreVerb::put,
                      .name_prefix = "packs/",
                      .skip = pack,
                      .position = 700});
        if (!was_killed([&] { day.back_up(faults, day.request()); })) break;
        const Snapshot next = day.back_up();
        EXPECT_EQ(day.restore_differs(next, changed), "");
        EXPECT_EQ(day.restore_differs(snapshot, tree), "");
        // Verification names the torn one alone, and no file as affected.
        const std::string damages = day.damages();
        EXPECT_NE(damages.find(faults->operations().back().name), std::string::npos) << damages;
        EXPECT_EQ(damages.find("affected"), std::string::npos) << damages;
        // A collection leaves or removes it, and the snapshots stay.
        day.prune(day.store);
        EXPECT_EQ(day.restore_differs(next, changed), "");
        EXPECT_EQ(day.restore_differs(snapshot, tree), "");
    }
    EXPECT_GE(pack, 2u);
}

} // namespace
} // namespace holdfast::test
