// Snapshots of a class have packs of their own, when they are written and when a collection rewrites them.
#include "service/pack_classes.h"
#include "service/retention.h"
#include "support/document_repository.h"

#include <filesystem>

#include <gtest/gtest.h>

namespace holdfast {
namespace {

class PackClassesTest : public testing::Test {
  protected:
    // A source of one name, below a directory of that name.
    Snapshot back_up(const std::string& source, const std::string& class_name) {
        files.reopen();
        DocumentsBackup backup;
        backup.run.source = source;
        backup.run.beat_interval = Duration::zero();
        if (!class_name.empty()) backup.run.tags[class_tag] = class_name;
        backup.paths = {(files.source() / source).string()};
        Progress progress;
        return back_up_documents(*files.repository, backup, progress, {}).report.snapshot;
    }
    void forget(const Snapshot& snapshot) {
        files.reopen();
        forget_snapshot(files.repository->context(), snapshot.id, true);
    }
    CollectorReport collect(double tolerated_dead_part) {
        files.reopen();
        CollectorSettings settings;
        settings.beat_interval = Duration::zero();
        settings.tolerated_dead_part = tolerated_dead_part;
        Progress progress;
        return collect_garbage(files.repository->context(), settings, progress);
    }
    // How many packs there are of each class; that no pack has frames of another is checked.
    std::map<std::uint8_t, std::size_t> packs() {
        files.reopen();
        std::map<std::uint8_t, std::size_t> found;
        for (const std::string& name : files.names(std::string(packs_prefix))) {
            const PackId id = PackId::from_name(name).value();
            ++found[id.cls];
            for (const PackId& origin : files.repository->packs().load(id)->origins)
                EXPECT_EQ(origin.cls, id.cls) << name << " has frames of " << origin.name();
        }
        return found;
    }

    test::DocumentRepository files{new_pack_classes()};
};

TEST_F(PackClassesTest, AreNeverMixedAndGoAsAWhole) {
    std::vector<Snapshot> older, newer;
    for (const std::string source : {"daily", "case", "another case"}) {
        const std::string class_name = source == "daily" ? "" : "forensic";
        const std::uint64_t seed = source.size();
        files.write_file(source + "/dies.bin", 2'000'000, seed);
        files.write_file(source + "/lives.bin", 2'000'000, 100 + seed);
        older.push_back(back_up(source, class_name));
        std::filesystem::remove(files.source() / source / "dies.bin");
        newer.push_back(back_up(source, class_name));
    }
    const auto before = packs();
    ASSERT_EQ(before.size(), 2U);
    EXPECT_GT(before.at(0), 0U);
    EXPECT_GT(before.at(3), before.at(0));

    for (const Snapshot& snapshot : older) forget(snapshot);
    EXPECT_GE(collect(0.01).rewritten_packs, 3U);
    EXPECT_EQ(packs().size(), 2U);

    forget(newer[1]);
    forget(newer[2]);
    const CollectorReport last = collect(0.03);
    EXPECT_GT(last.deleted_packs, 0U);
    EXPECT_EQ(last.rewritten_packs, 0U) << "nothing that stays lay beside what goes";
    const auto after = packs();
    EXPECT_EQ(after.size(), 1U);
    EXPECT_TRUE(after.contains(0));
    EXPECT_EQ(files.restore(newer[0], {}, "restored").failed, 0U);
    EXPECT_TRUE(files.restored_right("daily/lives.bin", "restored"));
}

TEST_F(PackClassesTest, AClassThatARepositoryDoesNotKnowIsThatOfAllTheRest) {
    const PackClasses classes = new_pack_classes();
    EXPECT_EQ(pack_class_of(classes, {}), 0U);
    EXPECT_EQ(pack_class_of(classes, {{class_tag, "manual"}}), 1U);
    EXPECT_EQ(pack_class_of(classes, {{class_tag, "pre-maintenance"}}), 2U);
    EXPECT_EQ(pack_class_of(classes, {{class_tag, "incremental"}}), 0U);
    // As repositories that were made before have them.
    EXPECT_EQ(pack_class_of({{std::uint8_t{0}, "default"}}, {{class_tag, "forensic"}}), 0U);
}

} // namespace
} // namespace holdfast
