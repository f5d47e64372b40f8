// A small repository that an earlier version wrote is read, proven, restored and gone on with by this one.
//
// With HOLDFAST_MAKE_GOLDEN=NAME in its environment the program writes tests/golden/NAME anew first; see
// README.md.
#include "golden/golden_maker.h"
#include "postgres/archive/archived_changes.h"
#include "repository/node/directory_cursor.h"
#include "repository/pack/pack_format.h"
#include "repository/protocol/standing_verdicts.h"
#include "support/error_matchers.h"

#include <cstdlib>
#include <set>

#include <gmock/gmock.h>

namespace holdfast::test {
namespace {

using testing::AllOf;
using testing::Contains;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::Not;
using testing::Pair;
using testing::SizeIs;
using testing::UnorderedElementsAre;

class Golden : public testing::Test {
  protected:
    static void SetUpTestSuite() {
        if (const char* name = std::getenv("HOLDFAST_MAKE_GOLDEN")) Maker(name).make();
    }

    // Those that are kept, with a copy of each store: nothing that a test does comes back to them.
    std::map<std::string, GoldenRepository> repositories() {
        std::map<std::string, GoldenRepository> all;
        for (const auto& entry : fs::directory_iterator(golden)) {
            if (!entry.is_directory()) continue;
            const std::string name = entry.path().filename();
            fs::copy(entry.path() / "store", scratch.file(name), fs::copy_options::recursive);
            all.emplace(name, GoldenRepository(entry.path(), scratch.file(name)));
        }
        return all;
    }
    // Those with all that is promised to be read: every kind of run, log, writers that were removed.
    std::map<std::string, GoldenRepository> whole_lives() {
        std::map<std::string, GoldenRepository> all = repositories();
        std::erase_if(all, [](const auto& entry) { return !entry.second.has_whole_life(); });
        EXPECT_THAT(all, Not(IsEmpty()));
        return all;
    }
    std::unique_ptr<Repository> open(const GoldenRepository& one, const std::string& label) {
        return one.open(one.credentials().at(label), scratch, system_clock(), system_random());
    }
    void expect_intact(Repository& repository) {
        const VerifyReport report = verify_repository(repository, {.read_data = true}, progress, {});
        for (const Damage& damage : report.damages) ADD_FAILURE() << damage.object << ": " << damage.what;
        for (const Damage& damage : report.unchecked) ADD_FAILURE() << damage.object << ": " << damage.what;
        EXPECT_EQ(report.closed.objects, 0U);
        EXPECT_EQ(report.content, ContentCheck::decrypted);
    }
    void expect_restored(const GoldenRepository& one, Repository& repository, const Snapshot& snapshot) {
        const std::string target = scratch.file("target");
        const TreeRestoreResult result = restore_documents(repository, snapshot, target, {}, progress, {});
        for (const RestoreProblem& problem : result.problems)
            ADD_FAILURE() << problem.path << ": " << problem.what;
        EXPECT_EQ(listing_of(target + snapshot.paths.front()), content_of(one.listing(which(snapshot))));
        fs::remove_all(target);
    }
    static std::string which(const Snapshot& snapshot) { return snapshot.tags.at("which"); }
    static Snapshot snapshot_of(Repository& repository, const std::string& name) {
        for (const Snapshot& snapshot : list_snapshots(repository.context()).snapshots)
            if (which(snapshot) == name) return snapshot;
        throw std::runtime_error("there is no snapshot " + name);
    }

    ScratchDirectory scratch;
    Progress progress;
};

TEST_F(Golden, HasWhatTheFormatKnows) {
    const auto all = repositories();
    ASSERT_THAT(all, Not(IsEmpty()));
    for (const auto& [name, one] : all) {
        SCOPED_TRACE(name);
        std::set<std::string> folders;
        for (const ObjectInfo& info : one.store()->list_all(""))
            folders.insert(info.name.substr(0, info.name.find('/')));
        std::vector<std::string> known{"config",  "keys",    "grants",  "revocations", "packs",    "index",
                                       "intents", "commits", "forgets", "statements",  "verdicts", "moved"};
        if (one.has_whole_life()) known.insert(known.end(), {"logs", "checkpoints"});
        for (const std::string& folder : known) EXPECT_TRUE(folders.contains(folder)) << folder;
        const std::shared_ptr<Store> store = one.store();
        Unlocked unlocked = unlock(*store, one.credentials().at("owner"));
        std::multiset<std::string> kinds;
        for (const SlotSummary& slot : KeySlots(*store, system_clock(), system_random(), unlocked).list())
            kinds.insert(slot.removed ? "removed" : std::string(to_string(*slot.kind)));
        std::multiset<std::string> expected{"key-file",   "key-file",   "key-file",
                                            "passphrase", "public-key", "removed"};
        if (one.has_whole_life()) expected.insert("removed");
        EXPECT_EQ(kinds, expected);
        const auto repository = open(one, "owner");
        const StatementList statements = list_statements(repository->context());
        EXPECT_THAT(statements.statements, Not(IsEmpty()));
        EXPECT_THAT(statements.problems, IsEmpty());
        const StatedPolicies stated = stated_policies(statements);
        EXPECT_THAT(stated.problems, IsEmpty());
        if (!one.has_policies()) {
            EXPECT_THAT(stated.policies, IsEmpty());
        } else {
            ASSERT_THAT(stated.policies, SizeIs(1));
            EXPECT_EQ(stated.policies[0].policy.name, "kept");
            EXPECT_EQ(stated.policies[0].body, policy_json(parse_policy("kept", policy_of_golden)));
        }
    }
}

TEST_F(Golden, ListsItsSnapshots) {
    for (const auto& [name, one] : repositories()) {
        SCOPED_TRACE(name);
        const auto repository = open(one, "owner");
        const SnapshotList snapshots = list_snapshots(repository->context());
        EXPECT_THAT(snapshots.forgotten, Not(IsEmpty()));
        std::set<std::string> found, expected{"first", "last"};
        for (const Snapshot& snapshot : snapshots.snapshots) found.insert(which(snapshot));
        if (one.has_whole_life()) expected.insert({"agent", "leaver", "orders"});
        EXPECT_EQ(found, expected);
        EXPECT_THAT(snapshots.snapshots, SizeIs(expected.size()));
        const Snapshot first = snapshot_of(*repository, "first");
        EXPECT_EQ(to_rfc3339(first.time), "2026-11-21T10:00:00Z");
        const auto socket = find_path(repository->nodes(), first.root, tree_place.substr(1) + "/tree/socket");
        ASSERT_TRUE(socket);
        EXPECT_EQ(socket->type, EntryType::socket);
    }
}

TEST_F(Golden, HasRunsOfEveryModeAndEpoch) {
    using enum EnvelopeMode;
    for (const auto& [name, one] : whole_lives()) {
        SCOPED_TRACE(name);
        std::map<std::string, std::set<EnvelopeMode>> modes;
        std::set<std::uint32_t> epochs;
        const std::shared_ptr<Store> store = one.store();
        for (const std::string folder : {"packs", "index", "logs", "commits"}) {
            for (const ObjectInfo& info : store->list_all(folder + "/")) {
                const Bytes bytes = store->get(info.name, {}, {}).value();
                const auto envelope = folder == "packs" ? parse_pack_header(bytes).header.envelope
                                                        : read_object_header(info.name, bytes).envelope;
                if (!envelope) continue; // a fence has none
                modes[folder].insert(envelope->mode);
                epochs.insert(envelope->epoch);
            }
        }
        EXPECT_THAT(modes["packs"], UnorderedElementsAre(symmetric, sealed, structure_only));
        EXPECT_THAT(modes["index"], AllOf(Contains(symmetric), Contains(sealed), Contains(structure_only)));
        EXPECT_THAT(modes["logs"], UnorderedElementsAre(symmetric, sealed));
        EXPECT_THAT(modes["commits"], UnorderedElementsAre(symmetric, sealed));
        EXPECT_THAT(epochs, UnorderedElementsAre(1U, 2U, 3U));
    }
}

TEST_F(Golden, IsProvenAndRestoredByWhoMayRead) {
    for (const auto& [name, one] : repositories()) {
        for (const std::string label : {"owner", "auditor", "recovery key"}) {
            SCOPED_TRACE(name + " by " + label);
            const auto repository = open(one, label);
            expect_intact(*repository);
            for (const Snapshot& snapshot : list_snapshots(repository->context()).snapshots)
                expect_restored(one, *repository, snapshot);
        }
    }
}

TEST_F(Golden, LogIsReadAsItWasWritten) {
    for (const auto& [name, one] : whole_lives()) {
        for (const std::string label : {"owner", "auditor", "recovery key"}) {
            SCOPED_TRACE(name + " by " + label);
            const auto repository = open(one, label);
            const postgres::WalArchive archive = postgres::open_wal_archive(*repository, "orders");
            EXPECT_EQ(log_text(archive), content_of(one.log_listing()));
            const LogRange needed = snapshot_of(*repository, "orders").log.value().range;
            std::uint64_t bytes = 0;
            const postgres::Lsn end = archive.read({needed.branch, {needed.begin}, {needed.end}},
                                                   [&](ByteView part) { bytes += part.size(); });
            EXPECT_EQ(end.value, needed.end);
            EXPECT_EQ(bytes, needed.end - needed.begin);
            // Which pages have changed, from the summaries.
            const postgres::WalDetails first = archive.details(archive.slices().front());
            const postgres::WalRange records{needed.branch, first.records_from, first.records_to};
            const postgres::ArchivedChanges said =
                postgres::changes_between(archive, records, records.begin, false);
            EXPECT_TRUE(said.changes) << said.missing;
            EXPECT_EQ(archive.histories(archive.slices()).at(2).ancestors().size(), 1U);
        }
    }
}

// For good: also by collections that release nothing themselves, of this version.
TEST_F(Golden, WhatLogWasReleasedIsKnown) {
    for (const auto& [name, one] : whole_lives()) {
        SCOPED_TRACE(name);
        const auto repository = open(one, "owner");
        const postgres::WalArchive archive = postgres::open_wal_archive(*repository, "orders");
        const LogRange needed = snapshot_of(*repository, "orders").log.value().range;
        const std::uint64_t floor = needed.end + small_segment_bytes;
        const LogFloors released{{{archive.id(), 1}, floor}};
        EXPECT_EQ(read_verdicts(repository->context()).released(), released);
        std::vector<std::pair<std::uint64_t, std::uint64_t>> ranges;
        for (const LogSliceId& slice : archive.slices())
            if (slice.range.branch == 1) ranges.emplace_back(slice.range.begin, slice.range.end);
        EXPECT_THAT(ranges, ElementsAre(Pair(needed.begin, needed.begin + small_segment_bytes),
                                        Pair(needed.begin + small_segment_bytes, needed.end),
                                        Pair(floor, floor + small_segment_bytes)));
        const auto janitor = open(one, "janitor");
        forget_snapshot(janitor->context(), snapshot_of(*janitor, "first").id, false);
        CollectorSettings settings;
        settings.patience = Duration::zero();
        settings.beat_interval = Duration::zero();
        EXPECT_EQ(collect_garbage(janitor->context(), settings, progress).deleted_log_slices, 0U);
        EXPECT_EQ(read_verdicts(repository->context()).released(), released);
        EXPECT_EQ(postgres::open_wal_archive(*open(one, "owner"), "orders").slices().size(),
                  archive.slices().size());
    }
}

TEST_F(Golden, ARemovedWriterIsLetInNoMore) {
    for (const auto& [name, one] : whole_lives()) {
        SCOPED_TRACE(name);
        EXPECT_EQ(code_of([&] { one.open(one.leaver(), scratch, system_clock(), system_random()); }),
                  "access_denied");
    }
}

// Two snapshots more, one less.
TEST_F(Golden, IsGoneOnWith) {
    for (const auto& [name, one] : repositories()) {
        SCOPED_TRACE(name);
        const std::size_t snapshots = list_snapshots(open(one, "owner")->context()).snapshots.size();
        const std::string source = scratch.file("source of " + name);
        write_file(fs::path(source) / "random", random_text(20'000, 1)); // which the repository has
        write_file(fs::path(source) / "new", "written by this version\n");
        for (const std::string label : {"owner", "agent"}) {
            DocumentsBackup what;
            what.run.source = "of " + label;
            what.run.host = "test";
            what.run.beat_interval = Duration::zero();
            what.paths = {source};
            const auto repository = open(one, label);
            const SnapshotTotals totals =
                back_up_documents(*repository, what, progress, {}).report.snapshot.totals;
            EXPECT_EQ(totals.files, 2U);
            if (label == "owner") {
                EXPECT_LT(totals.stored_bytes, 15'000U) << "what it has was stored again";
            }
        }
        const auto janitor = open(one, "janitor");
        forget_snapshot(janitor->context(), snapshot_of(*janitor, "first").id, false);
        CollectorSettings settings;
        settings.patience = Duration::zero();
        settings.beat_interval = Duration::zero();
        settings.tolerated_dead_part = 0;
        const CollectorReport report = collect_garbage(janitor->context(), settings, progress);
        EXPECT_EQ(report.deleted_snapshots, 2U) << "and the one that it says nobody wants";
        EXPECT_GT(report.deleted_packs + report.rewritten_packs, 0U);
        EXPECT_THAT(report.problems, IsEmpty());
        const auto repository = open(one, "owner");
        expect_intact(*repository);
        EXPECT_THAT(list_snapshots(repository->context()).snapshots, SizeIs(snapshots + 1));
        expect_restored(one, *repository, snapshot_of(*repository, "last"));
    }
}

} // namespace
} // namespace holdfast::test
