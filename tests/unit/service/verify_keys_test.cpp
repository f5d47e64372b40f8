// What is verified with a key that does not open everything.
#include "unit/service/verify_fixture.h"

#include <gmock/gmock.h>

namespace holdfast {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

TEST_F(VerifyTest, WithoutContentKeysDigestsAreCompared) {
    const Credential credential = files.add_slot(Role::prune);
    const auto verify_as_pruner = [&](bool compare_files = false) {
        const auto repository = files.open(credential);
        Progress progress;
        return verify_repository(*repository, {.read_data = true, .compare_files = compare_files}, progress,
                                 {});
    };
    const VerifyReport intact = verify_as_pruner();
    EXPECT_THAT(damaged(intact), IsEmpty());
    EXPECT_EQ(intact.content, ContentCheck::digests);
    EXPECT_EQ(intact.packs_read, intact.packs);
    EXPECT_LT(intact.frames_opened, intact.frames);
    EXPECT_TRUE(intact.all_checked());
    EXPECT_FALSE(verify_as_pruner(true).all_checked()) << "files cannot be put together";

    const std::string pack = pack_of(newer_one, "third.bin");
    files.flip_bit(pack, files.bytes_of(pack).size() / 2);
    const VerifyReport report = verify_as_pruner();
    EXPECT_THAT(damaged(report), ElementsAre(pack));
    EXPECT_THAT(report.affected_snapshots, ElementsAre(newer_one.id));
}

// What others wrote is counted, not told one by one, and is neither damage nor taken for intact.
TEST_F(VerifyTest, WhatAWriteOnlyKeyCannotReadIsCountedByKind) {
    const Credential credential = files.add_slot(Role::write, "laptops");
    for (const bool read_data : {false, true}) {
        const auto repository = files.open(credential);
        Progress progress;
        const VerifyReport report = verify_repository(
            *repository, {.read_data = read_data, .compare_files = read_data}, progress, {});
        EXPECT_THAT(damaged(report), IsEmpty());
        EXPECT_THAT(report.unchecked, IsEmpty());
        EXPECT_FALSE(report.all_checked());
        EXPECT_EQ(report.closed.by_kind,
                  (std::map<std::string, std::uint64_t>{{"commit", files.names("commits/").size()},
                                                        {"index segment", files.names("index/").size()},
                                                        {"pack", files.names("packs/").size()}}));
        std::uint64_t sum = 0;
        for (const auto& [kind, objects] : report.closed.by_kind) sum += objects;
        EXPECT_EQ(report.closed.objects, sum);
        EXPECT_THAT(report.closed.hint, HasSubstr("full or read"));
    }
    // Damage is seen all the same: who wrote an object and its digest need no key.
    const std::string pack = pack_of(newer_one, "third.bin");
    files.flip_bit(pack, files.bytes_of(pack).size() / 2);
    const auto repository = files.open(credential);
    Progress progress;
    EXPECT_THAT(damaged(verify_repository(*repository, {.read_data = true}, progress, {})),
                ElementsAre(pack));
    EXPECT_TRUE(verify(false).all_checked()) << "with all keys";
}

} // namespace
} // namespace holdfast
