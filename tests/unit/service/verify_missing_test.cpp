// Objects that are gone altogether: one of each kind, one at a time, out of a repository that has lived.
#include "repository/log/log_writer.h"
#include "repository/protocol/protocol_object.h"
#include "repository/protocol/standing_verdicts.h"
#include "repository/protocol/statement.h"
#include "repository/protocol/writer_session.h"
#include "service/repair_index.h"
#include "store/fault_store.h"
#include "support/error_matchers.h"
#include "support/hook_store.h"
#include "unit/service/verify_fixture.h"

#include <algorithm>
#include <filesystem>

#include <fmt/format.h>
#include <gmock/gmock.h>

namespace holdfast {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class MissingObjects : public VerifyTest {
  protected:
    void SetUp() override {
        VerifyTest::SetUp();
        newest = files.move_a_file(1u << 20);
        files.reopen();
        root = files.repository->keys().slot();
        for (const RunId& snapshot : {older.id, newer_one.id, newest.id}) say(*files.repository, snapshot);
        agent = add(files.passphrase(), Role::write, 20);
        UnlockOptions remembering;
        remembering.cache = std::make_shared<MapRunSecretCache>();
        of_agent = back_up(*files.open(key(20), remembering), "laptop");
        let_somebody_come_and_go();
        interrupt_a_backup();
        kill_a_collection();
        keep_a_log();
        begin_a_run();
        files.reopen();
    }

    static Credential key(Byte value) { return Credential::key_file(key_file_of(value)); }
    SlotId add(const Credential& by, Role role, Byte value) {
        const Credential credential = key(value);
        Unlocked admin = unlock(*files.store, by);
        NewSlot slot;
        slot.label = fmt::format("slot {}", value);
        slot.role = role;
        slot.credential = &credential;
        return KeySlots(*files.store, system_clock(), files.random, admin).add(slot);
    }
    Snapshot back_up(Repository& repository, const std::string& source,
                     Duration checkpoint_interval = std::chrono::hours(1)) {
        DocumentsBackup backup;
        backup.run.source = source;
        backup.run.host = "test";
        backup.run.pipeline.pack_bytes = 256u << 10;
        backup.run.beat_interval = Duration::zero();
        backup.run.checkpoint_interval = checkpoint_interval;
        backup.paths = {files.source().string()};
        Progress progress;
        return back_up_documents(repository, backup, progress, {}).report.snapshot;
    }
    static void say(Repository& repository, const RunId& snapshot) {
        Statement statement;
        statement.snapshot = snapshot;
        statement.type = StatementType::tag;
        statement.name = "kept for";
        statement.value = "the auditors";
        put_statement(repository.context(), statement);
    }
    std::unique_ptr<Repository> open_over(const std::shared_ptr<Store>& store) {
        return std::make_unique<Repository>(
            store, unlock(*store, files.passphrase()),
            LocalDirectories{files.scratch.file("cache"), files.scratch.path().string()}, system_clock(),
            files.random, silent_logger());
    }

    // An administrator who backs up, speaks of snapshots and enrols somebody, and is removed; then the keys
    // are rotated.
    void let_somebody_come_and_go() {
        leaver = add(files.passphrase(), Role::full, 21);
        hired = add(key(21), Role::read, 22);
        {
            const auto repository = files.open(key(21));
            of_leaver = back_up(*repository, "desktop");
            say(*repository, older.id);
            say(*repository, of_leaver.id);
        }
        Unlocked admin = unlock(*files.store, files.passphrase());
        KeySlots slots(*files.store, system_clock(), files.random, admin);
        slots.remove(leaver, {});
        slots.rotate();
    }
    // Leaves intents and checkpoints.
    void interrupt_a_backup() {
        files.write_file("interrupted.bin", 900'000, 30);
        auto faults = std::make_shared<FaultStore>(files.store);
        faults->plan({.kind = FaultKind::die_after,
                      .verb = StoreVerb::put,
                      .name_prefix = std::string(checkpoints_prefix),
                      .skip = 1});
        const auto repository = open_over(faults);
        EXPECT_THROW(back_up(*repository, "interrupted", Duration::zero()), ProcessDied);
        std::filesystem::remove(files.source() / "interrupted.bin");
    }
    // Of something that was forgotten; the interrupted backup is fenced. Its verdict and its condemned list
    // lie there.
    void kill_a_collection() {
        files.write_file("passing.bin", 900'000, 31);
        forgotten = files.back_up("passing");
        std::filesystem::remove(files.source() / "passing.bin");
        files.reopen();
        files.back_up("passing");
        files.reopen();
        forget_snapshot(files.repository->context(), forgotten.id, false);
        auto faults = std::make_shared<FaultStore>(files.store);
        faults->plan({.kind = FaultKind::die_before,
                      .verb = StoreVerb::remove,
                      .name_prefix = std::string(commits_prefix)});
        const auto repository = open_over(faults);
        CollectorSettings settings;
        settings.beat_interval = Duration::zero();
        settings.patience = Duration::zero();
        Progress progress;
        EXPECT_THROW(collect_garbage(repository->context(), settings, progress), ProcessDied);
    }
    void keep_a_log() {
        files.reopen();
        const RepositoryContext& context = files.repository->context();
        const ArchiveId archive =
            archive_id(domain_id("default"), context.keys.identity_key().view(), "cluster", "1");
        LogWriter log(context, archive, 1);
        Compressor compressor;
        const Bytes content(1000, 7);
        log.put(log.seal({{1, 1000, 2000}, content}, compressor));
        log.put(log.seal({{1, 2000, 3000}, content}, compressor));
        BackupRunSettings settings;
        settings.source = "cluster";
        settings.beat_interval = Duration::zero();
        BackupRun backup(*files.repository, settings, {});
        DirectoryLeafBuilder leaf;
        TreeEntry entry;
        entry.name = "PG_VERSION";
        entry.type = EntryType::fifo;
        leaf.add(entry);
        backup.set_log({archive, {1, 1500, 2500}});
        of_cluster =
            backup.commit(backup.writer().put_node(leaf.finish()), {}, SnapshotState::complete).snapshot;
    }
    void begin_a_run() {
        at_work = files.open(files.passphrase());
        run.emplace(at_work->keys().begin_run(files.random));
        session = WriterSession::begin(at_work->context(), *run, "test", Duration::zero());
        session->beat();
        session->beat();
    }

    // By a program that opened the repository before.
    VerifyReport verify_without(const std::string& name) {
        files.reopen();
        const Bytes intact = files.bytes_of(name);
        files.store->remove(name, {});
        Progress progress;
        const VerifyReport report = verify_repository(*files.repository, {}, progress, {});
        files.store->put(name, intact);
        return report;
    }
    // The damage of the one object that is named.
    static std::string told_of(const VerifyReport& report, const std::string& name) {
        for (const Damage& damage : report.damages)
            if (damage.object == name) return damage.what + "; " + damage.hint;
        return {};
    }
    std::vector<std::string> notes_of(const SlotId& slot) {
        return files.names(std::string(statements_prefix) + slot.hex());
    }

    Snapshot newest, of_agent, of_leaver, of_cluster, forgotten;
    SlotId root, agent, leaver, hired;
    std::unique_ptr<Repository> at_work;
    std::optional<RunContext> run;
    std::unique_ptr<WriterSession> session;
};

TEST_F(MissingObjects, NothingIsMissedThatNobodyTookAway) {
    const VerifyReport report = verify(true);
    EXPECT_THAT(damaged(report), IsEmpty());
    for (const std::string_view prefix :
         {slots_prefix, grants_prefix, revocations_prefix, packs_prefix, index_prefix, intents_prefix,
          commits_prefix, checkpoints_prefix, forgets_prefix, statements_prefix, condemned_prefix,
          verdicts_prefix, moved_prefix, logs_prefix})
        EXPECT_THAT(files.names(std::string(prefix)), testing::Not(IsEmpty())) << prefix;
}

TEST_F(MissingObjects, TheConfig) {
    EXPECT_THAT(damaged(verify_without(std::string(config_name))), Contains(std::string(config_name)));
}

TEST_F(MissingObjects, AKeySlotIsNamedByItsGrant) {
    for (const SlotId& slot : {agent, hired, root}) {
        const std::string name = slot_name(slot);
        const VerifyReport report = verify_without(name);
        EXPECT_THAT(damaged(report), Contains(name));
        EXPECT_THAT(told_of(report, name), HasSubstr("from a copy"));
    }
}

TEST_F(MissingObjects, OfGrantsTheNewestOfASlotIsMissed) {
    for (const SlotId& slot : {agent, hired, root}) {
        const std::vector<std::string> grants = files.names(std::string(grants_prefix) + slot.hex());
        ASSERT_EQ(grants.size(), 2U);
        EXPECT_THAT(damaged(verify_without(grants[1])), ElementsAre(grants[1]));
        EXPECT_TRUE(verify_without(grants[0]).intact()) << "the newer one has what it had";
    }
    // All of a slot.
    files.store->remove(grant_name(agent, 1), {});
    EXPECT_THAT(damaged(verify_without(grant_name(agent, 2))), ElementsAre(grant_name(agent, 2)));
}

// What its slot wrote is told, with its id: nothing else says that there was one.
TEST_F(MissingObjects, ARevocationIsToldByWhatItsSlotWrote) {
    const VerifyReport report = verify_without(revocation_name(leaver));
    EXPECT_THAT(told_of(report, commit_name(of_leaver.id)), HasSubstr(leaver.hex()));
}

TEST_F(MissingObjects, PacksThatSnapshotsNeed) {
    const std::uint64_t orphans = verify(false).orphan_packs;
    EXPECT_GT(orphans, 0U);
    std::uint64_t not_missed = 0;
    for (const std::string& name : files.names(std::string(packs_prefix))) {
        const VerifyReport report = verify_without(name);
        if (report.intact()) {
            ++not_missed;
        } else {
            EXPECT_THAT(damaged(report), ElementsAre(name));
            EXPECT_FALSE(report.affected_snapshots.empty()) << name;
        }
    }
    EXPECT_EQ(not_missed, orphans);
}

TEST_F(MissingObjects, AnIndexSegmentIsNamedAndNothingIsLost) {
    std::uint64_t missed = 0;
    for (const std::string& name : files.names(std::string(index_prefix))) {
        const VerifyReport report = verify_without(name);
        EXPECT_THAT(report.affected_snapshots, IsEmpty());
        if (report.intact()) continue; // what it names lies in packs that no snapshot needs
        ++missed;
        // One that a collection has joined is named by the runs that it was of.
        for (const Damage& damage : report.damages) {
            EXPECT_THAT(damage.object, testing::StartsWith(std::string(index_prefix)));
            EXPECT_THAT(damage.hint, HasSubstr("repair index"));
        }
    }
    EXPECT_GE(missed, 4U);
    const std::string first = index_segment_name(domain_id("default"), older.id, 0);
    EXPECT_THAT(damaged(verify_without(first)), ElementsAre(first));
    files.store->remove(first, {});
    EXPECT_FALSE(verify(false).intact());
    Progress progress;
    repair_index(*files.repository, progress, {});
    EXPECT_THAT(damaged(verify(false)), IsEmpty());
}

// Another backup puts segments, and removes them once others have their place.
TEST_F(MissingObjects, AnIndexSegmentIsMissedBesideARunningBackup) {
    const std::string missing = index_segment_name(domain_id("default"), older.id, 0);
    const Bytes intact = files.bytes_of(missing);
    std::uint32_t number = 0;
    const auto early = [&] { return index_segment_name(domain_id("default"), run->id(), number); };
    const auto verify_beside = [&](const std::function<void()>& when_it_goes) {
        files.store->remove(missing, {});
        files.store->put(early(), as_bytes("early"));
        const auto store = std::make_shared<test::HookStore>(files.store, [&](const StoreCall& call) {
            if (call.verb != StoreVerb::get || call.name != early()) return;
            files.store->remove(early(), {});
            ++number;
            when_it_goes();
        });
        Progress progress;
        const VerifyReport report = verify_repository(*open_over(store), {}, progress, {});
        if (!files.names(early()).empty()) files.store->remove(early(), {});
        if (files.names(missing).empty()) files.store->put(missing, intact);
        return report;
    };
    VerifyReport report = verify_beside([] {});
    EXPECT_THAT(damaged(report), ElementsAre(missing));
    EXPECT_TRUE(report.all_checked());
    report = verify_beside([&] { files.store->put(missing, intact); });
    EXPECT_THAT(damaged(report), IsEmpty());
    EXPECT_TRUE(report.all_checked());
    report = verify_beside([&] { files.store->put(early(), as_bytes("early")); });
    EXPECT_THAT(damaged(report), IsEmpty());
    ASSERT_EQ(report.unchecked.size(), 1U);
    EXPECT_EQ(report.unchecked.front().object, index_prefix);
    EXPECT_FALSE(report.all_checked());
}

TEST_F(MissingObjects, CommitsThatAnythingSpeaksOf) {
    // By a child, by a statement, by the revocation of its writer.
    for (const RunId& snapshot : {older.id, newer_one.id, newest.id, of_leaver.id}) {
        const std::string name = commit_name(snapshot);
        EXPECT_THAT(damaged(verify_without(name)), ElementsAre(name));
    }
    // The newest of its source, of which nothing is said, is withheld unnoticed.
    EXPECT_TRUE(verify_without(commit_name(of_agent.id)).intact());
    EXPECT_TRUE(verify_without(commit_name(of_cluster.id)).intact());
    // So is a fence: its run is over.
    const std::vector<RunId> fenced = list_snapshots(files.repository->context()).fenced;
    ASSERT_EQ(fenced.size(), 1U);
    EXPECT_TRUE(verify_without(commit_name(fenced.front())).intact());
}

TEST_F(MissingObjects, ACommitThatIsGivenUpIsNotMissed) {
    const auto give_up = [&] { forget_lost_snapshot(files.repository->context(), older.id); };
    test::expect_error(ErrorCode::usage, give_up, "is there");
    files.store->remove(commit_name(older.id), {});
    EXPECT_THAT(damaged(verify(false)), ElementsAre(commit_name(older.id)));
    give_up();
    EXPECT_THAT(damaged(verify(false)), IsEmpty());
}

// The commit comes, and the intent goes, while it is looked whether they are there.
TEST_F(MissingObjects, ARunThatEndsMeanwhileIsNotGivenUp) {
    const RunId ending{{7}};
    files.store->put(intent_name(ending, 3), Bytes{}, PutOptions{}, {});
    test::HookStore store(files.store, [&](const StoreCall& call) {
        if (call.verb != StoreVerb::list || !call.name.starts_with(intents_prefix)) return;
        files.store->put(commit_name(ending), Bytes{});
        files.store->remove(intent_name(ending, 3), {});
    });
    test::expect_error(
        ErrorCode::usage, [&] { forget_lost_snapshot(files.repository->context().through(store), ending); },
        "is there");
    EXPECT_THAT(files.names(forget_name(ending)), IsEmpty());
}

TEST_F(MissingObjects, AHoldOnItsSourceKeepsALostCommit) {
    const RepositoryContext& context = files.repository->context();
    const auto hold = [&](const std::string& source) {
        Statement held;
        held.source = source;
        held.type = StatementType::hold;
        held.name = "case 4711";
        return put_statement(context, held);
    };
    const auto release = [&](const StatementId& of, const std::string& source) {
        Statement released;
        released.source = source;
        released.type = StatementType::release;
        released.releases = of;
        put_statement(context, released);
    };
    const RunId unknown{{7}};
    files.store->remove(commit_name(older.id), {});
    const StatementId other = hold("another");
    test::expect_error(ErrorCode::usage, [&] { forget_lost_snapshot(context, unknown); }, "is held");
    const StatementId own = hold(older.source);
    // All are judged before the first is forgotten.
    release(other, "another");
    test::expect_error(
        ErrorCode::usage, [&] { forget_lost_snapshots(context, {unknown, older.id}); }, "is held");
    EXPECT_THAT(files.names(forget_name(unknown)), IsEmpty());
    test::expect_error(ErrorCode::usage, [&] { forget_lost_snapshot(context, older.id); }, "is held");
    hold("another");
    release(own, older.source);
    forget_lost_snapshot(context, older.id); // what followed it tells of which source it was
    test::expect_error(ErrorCode::usage, [&] { forget_lost_snapshot(context, unknown); }, "is held");
}

TEST_F(MissingObjects, ARunThatHasNotEndedIsNotGivenUp) {
    const RunId beating{{7}};
    files.store->put(intent_name(beating, 3), Bytes{}, PutOptions{}, {});
    test::expect_error(
        ErrorCode::usage, [&] { forget_lost_snapshot(files.repository->context(), beating); },
        "has not ended");
    EXPECT_THAT(files.names(forget_name(beating)), IsEmpty());
}

TEST_F(MissingObjects, ACommitThatAnUnfinishedRunFollows) {
    files.write_file("interrupted.bin", 900'000, 33);
    auto faults = std::make_shared<FaultStore>(files.store);
    faults->plan({.kind = FaultKind::die_after,
                  .verb = StoreVerb::put,
                  .name_prefix = std::string(checkpoints_prefix)});
    EXPECT_THROW(back_up(*open_over(faults), "laptop", Duration::zero()), ProcessDied);
    const std::string name = commit_name(of_agent.id);
    const VerifyReport report = verify_without(name);
    EXPECT_THAT(damaged(report), ElementsAre(name));
    EXPECT_THAT(told_of(report, name), HasSubstr("unfinished run"));
}

TEST_F(MissingObjects, CheckpointsCostOnlyThatTheirRunGoesOnFromAnOlderOne) {
    for (const std::string& name : files.names(std::string(checkpoints_prefix)))
        EXPECT_TRUE(verify_without(name).intact()) << name;
}

TEST_F(MissingObjects, ForgetsOfSnapshotsThatAreGone) {
    const std::string name = forget_name(forgotten.id);
    // Its commit is there still, so that it comes back without its data.
    EXPECT_THAT(damaged(verify_without(name)), Contains(name));
    files.store->remove(commit_name(forgotten.id), {});
    EXPECT_THAT(damaged(verify_without(name)), ElementsAre(name));
    // When the verdict is gone, too, the snapshot that followed it tells; which of the two objects was there
    // is not known.
    for (const std::string& verdict : files.names(std::string(verdicts_prefix)))
        files.store->remove(verdict, {});
    EXPECT_THAT(damaged(verify_without(name)), Contains(commit_name(forgotten.id)));
}

TEST_F(MissingObjects, StatementsBehindWhichAnotherStands) {
    for (const SlotId& slot : {root, leaver}) {
        const std::vector<std::string> names = notes_of(slot);
        ASSERT_GE(names.size(), 2U);
        for (std::size_t i = 0; i + 1 < names.size(); ++i)
            EXPECT_THAT(damaged(verify_without(names[i])), ElementsAre(names[i]));
    }
    // Of the last ones those of a slot that was removed.
    EXPECT_THAT(damaged(verify_without(notes_of(leaver).back())), ElementsAre(notes_of(leaver).back()));
    EXPECT_TRUE(verify_without(notes_of(root).back()).intact());
}

TEST_F(VerifyTest, AVerdictIsMissedByTheNotesThatItLed) {
    files.move_a_file(1u << 20);
    const std::vector<std::string> verdicts = files.names(std::string(verdicts_prefix));
    const std::vector<std::string> notes = files.names(std::string(moved_prefix));
    ASSERT_EQ(verdicts.size(), 1U);
    ASSERT_FALSE(notes.empty());
    EXPECT_THAT(damaged(verify(false)), IsEmpty());
    files.store->remove(verdicts.front(), {});
    const VerifyReport report = verify(false);
    EXPECT_THAT(damaged(report), ElementsAre(verdicts.front()));
    // As its hint says.
    EXPECT_THAT(report.damages[0].hint, HasSubstr("repair index"));
    for (const std::string& name : notes) files.store->remove(name, {});
    Progress progress;
    files.reopen();
    EXPECT_EQ(repair_index(*files.repository, progress, {}).moves, notes);
    EXPECT_TRUE(verify(true).affected_snapshots.empty());
    // The index has again what was moved once it was known where to.
    repair_index(*files.repository, progress, {});
    EXPECT_THAT(damaged(verify(true)), IsEmpty());
}

TEST_F(MissingObjects, WhatCollectionsLeaveBehind) {
    // The later one has all that the earlier one decided.
    const StandingVerdicts standing = read_verdicts(files.repository->context());
    ASSERT_EQ(standing.verdicts.size(), 2U);
    std::uint64_t united = 0;
    for (const auto& [collector, verdict] : standing.verdicts) {
        if (!verdict.united.empty()) continue;
        ++united;
        EXPECT_TRUE(verify_without(verdict_name(collector)).intact());
    }
    EXPECT_EQ(united, 1U);
    for (const std::string& name : files.names(std::string(moved_prefix)))
        EXPECT_THAT(damaged(verify_without(name)), Contains(name));
    // What was condemned is decided.
    for (const std::string& name : files.names(std::string(condemned_prefix)))
        EXPECT_TRUE(verify_without(name).intact());
}

TEST_F(MissingObjects, OfIntentsTheFirstOfARunThatLives) {
    const std::vector<std::string> beats = files.names(fmt::format("{}{}", intents_prefix, run->id().hex()));
    ASSERT_EQ(beats.size(), 3U);
    EXPECT_THAT(damaged(verify_without(beats[0])), ElementsAre(beats[0]));
    for (const std::string& name : files.names(std::string(intents_prefix)))
        EXPECT_EQ(verify_without(name).intact(), name != beats[0]) << name;
}

TEST_F(MissingObjects, SlicesOfALogThatASnapshotNeeds) {
    for (const std::string& name : files.names(std::string(logs_prefix))) {
        const VerifyReport report = verify_without(name);
        EXPECT_THAT(damaged(report), ElementsAre(commit_name(of_cluster.id)));
        EXPECT_THAT(told_of(report, commit_name(of_cluster.id)), HasSubstr("missing"));
    }
}

// The next collection carries out what the killed one had decided, and ends what is over.
TEST_F(MissingObjects, NothingIsMissedBehindAnotherCollection) {
    session->leave();
    for (int i = 0; i < 3; ++i) {
        CollectorSettings settings;
        settings.beat_interval = Duration::zero();
        settings.patience = settings.keep_checkpoints = Duration::zero();
        settings.tolerated_dead_part = 0.01;
        Progress progress;
        files.reopen();
        collect_garbage(files.repository->context(), settings, progress);
        EXPECT_THAT(damaged(verify(true)), IsEmpty());
    }
    EXPECT_THAT(files.names(std::string(condemned_prefix)), IsEmpty());
    EXPECT_THAT(files.names(std::string(checkpoints_prefix)), IsEmpty());
}

} // namespace
} // namespace holdfast
