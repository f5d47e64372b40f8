// Documents, and a power cut: what a command said was done is still there.
#include "faults/power_loss/power_fixture.h"

#include <fstream>

#include <gmock/gmock.h>

namespace holdfast::test {
namespace {

class PowerCut : public PowerUser, public testing::WithParamInterface<Survives> {};
INSTANTIATE_TEST_SUITE_P(Leaves, PowerCut, testing::Values(Survives::synced_only, Survives::names_as_at_end),
                         [](const auto& each) {
                             return each.param == Survives::synced_only ? "WhatWasSynced" : "AllNames";
                         });

// Were it not so, none of these tests could fail.
TEST_P(PowerCut, TakesWhatWasNotSynced) {
    std::ofstream(on_machine("kept")) << "synced";
    power.sync_all();
    std::ofstream(on_machine("kept"), std::ios::app) << " and more";
    std::ofstream(on_machine("new")) << "not synced";
    std::filesystem::rename(on_machine("home"), on_machine("moved"));
    power.fail(GetParam());
    EXPECT_EQ(content_of(on_machine("kept")), "synced");
    EXPECT_EQ(content_of(on_machine("new")), "");
    const bool names = GetParam() == Survives::names_as_at_end;
    EXPECT_EQ(std::filesystem::exists(on_machine("new")), names);
    EXPECT_EQ(std::filesystem::exists(on_machine("moved")), names);
}

TEST_P(PowerCut, ABackupThatWasDoneIsThere) {
    fill_source(1);
    json({"init"}, 0, counted());
    json({"backup", "--source", "home", source()}, 0, counted());
    power.fail(GetParam());
    expect_all_is_well();
    expect_restore_equals_source();

    fill_source(100, 10);
    json({"backup", "--source", "home", source()}, 0, counted());
    json({"forget", json({"snapshots"})[1]["id"]}, 0, counted());
    json({"prune"}, 0, counted());
    power.fail(GetParam());
    expect_all_is_well();
    EXPECT_EQ(snapshots(), 1U);
    expect_restore_equals_source();
}

// At so many of its syncs, spread over all of them.
constexpr std::uintmax_t cuts = 8;

TEST_P(PowerCut, AnInterruptedBackupHarmsNoneBefore) {
    fill_source(1);
    json({"init"}, 0, counted());
    const std::uintmax_t before = power.syncs();
    json({"backup", "--source", "home", source()}, 0, counted());
    const std::uintmax_t all = power.syncs() - before;
    ASSERT_GT(all, cuts);
    for (std::uintmax_t cut = 0; cut < cuts; ++cut) {
        fill_source(1000 * (cut + 1));
        EXPECT_EQ(run_until(1 + cut * all / cuts, {"backup", "--source", "home", source()}).exit_code,
                  128 + SIGKILL);
        power.fail(GetParam());
        expect_all_is_well();
        ASSERT_GE(snapshots(), 1U);
    }
    json({"backup", "--source", "home", source()});
    expect_all_is_well();
    expect_restore_equals_source();
}

TEST_P(PowerCut, APruneThatIsCutLosesNothing) {
    fill_source(1);
    json({"init"}, 0, counted());
    json({"backup", "--source", "home", source()}, 0, counted());
    unsigned cut = 0;
    for (std::uintmax_t sync = 1; sync < 9; ++sync) {
        fill_source(1000 * sync, 25);
        json({"backup", "--source", "home", source()}, 0, counted());
        json({"forget", json({"snapshots"})[1]["id"]}, 0, counted());
        if (run_until(sync, {"prune"}).exit_code == 128 + SIGKILL) ++cut;
        power.fail(GetParam());
        expect_all_is_well();
        expect_restore_equals_source();
    }
    EXPECT_GT(cut, 4U);
}

TEST_P(PowerCut, ARestoreThatWasToBeOnDiskIs) {
    fill_source(1);
    std::filesystem::create_symlink("1", place("link"));
    write("empty/none", "");
    json({"init"});
    json({"backup", "--source", "home", source()});
    power.sync_all();
    json({"restore", "latest", "--sync", "--to", on_machine("back")}, 0, counted());
    power.fail(GetParam());
    EXPECT_EQ(difference(list_tree(source()), list_tree(on_machine("back") + source())), "");
}

} // namespace
} // namespace holdfast::test
