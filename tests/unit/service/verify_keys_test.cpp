// What is verified with a key that does not open everything.
#include "unit/service/verify_fixture.h"

#include <gmock/gmock.h>

namespace holdfast {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

TEST_F(VerifyTest, WithoutContentKeysDigestsAreCompared) {
    const Credential credential = Credential::key_file(key_file_of(5));
    {
        Unlocked admin = unlock(*files.store, files.passphrase());
        KeySlots slots(*files.store, system_clock(), files.random, admin);
        NewSlot slot;
        slot.label = "pruner";
        slot.role = Role::prune;
        slot.credential = &credential;
        slots.add(slot);
    }
    const auto verify_as_pruner = [&] {
        const auto repository = files.open(credential);
        Progress progress;
        return verify_repository(*repository, {.read_data = true}, progress, {});
    };
    const VerifyReport intact = verify_as_pruner();
    EXPECT_THAT(damaged(intact), IsEmpty());
    EXPECT_EQ(intact.content, ContentCheck::digests);
    EXPECT_EQ(intact.packs_read, intact.packs);
    EXPECT_LT(intact.frames_opened, intact.frames);

    const std::string pack = pack_of(newer_one, "third.bin");
    files.flip_bit(pack, files.bytes_of(pack).size() / 2);
    const VerifyReport report = verify_as_pruner();
    EXPECT_THAT(damaged(report), ElementsAre(pack));
    EXPECT_THAT(report.affected_snapshots, ElementsAre(newer_one.id));
}

} // namespace
} // namespace holdfast
