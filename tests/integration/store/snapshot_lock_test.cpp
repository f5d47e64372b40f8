// A backup that locks its snapshot, on a server that really refuses to delete.

#include "repository/protocol/collector.h"
#include "repository/protocol/reachability.h"
#include "repository/repository.h"
#include "repository/snapshot_lock.h"
#include "service/backup_documents.h"
#include "store/s3_store.h"
#include "store/store_factory.h"
#include "support/repository_fixture.h"
#include "support/run_program.h"
#include "support/s3_server.h"
#include "support/scratch_directory.h"

#include <fstream>
#include <optional>
#include <set>
#include <utility>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace holdfast::test {
namespace {

// Of a new repository, in a new bucket with object lock.
std::shared_ptr<S3Store> lockable_store(const std::string& bucket, const Credential& credential) {
    S3Server& server = S3Server::shared(S3ServerKind::radosgw);
    server.make_bucket(bucket, false, true);
    InitOptions options;
    options.cost = cheap_cost;
    {
        S3Store probed(server.settings(bucket));
        options.capabilities = probe_capabilities(probed);
    }
    // Where it keeps versions, this server lets two take one name, so that a prune would be refused. There is
    // nobody else here, and what is tested is how it treats locks.
    options.capabilities.put_if_absent = true;
    EXPECT_TRUE(options.capabilities.object_lock && options.capabilities.versions);
    S3Settings settings = server.settings(bucket);
    settings.capabilities = options.capabilities;
    auto store = std::make_shared<S3Store>(settings);
    create_repository(*store, system_clock(), system_random(), credential, options);
    return store;
}

TEST(SnapshotLockOnRadosgw, NoVersionThatTheSnapshotNeedsCanBeRemoved) {
    const Credential credential = Credential::passphrase(text_secret("open sesame"));
    const auto store = lockable_store("snapshot-lock", credential);
    const ScratchDirectory scratch;
    Repository repository(store, unlock(*store, credential),
                          LocalDirectories{scratch.file("cache"), scratch.path().string()}, system_clock(),
                          system_random(), silent_logger());
    std::filesystem::create_directory(scratch.path() / "source");
    std::ofstream(scratch.file("source/document")) << "worth keeping";

    DocumentsBackup backup;
    backup.run.source = "documents";
    backup.run.beat_interval = Duration::zero();
    backup.paths = {scratch.file("source")};
    Progress progress;
    const auto packs_of = [&](const Snapshot& snapshot) {
        ReachabilityScanner scanner(repository.nodes());
        scanner.add_tree(snapshot.root);
        std::vector<std::string> names;
        for (const auto& [pack, frames] : scanner.frames().packs()) names.push_back(pack.name());
        return names;
    };
    const auto earliest = [&](const Snapshot& snapshot) {
        Timestamp first = Timestamp::max();
        for (const std::string& name : packs_of(snapshot)) {
            const std::optional<Retention> lock = store->retention(name, {});
            first = std::min(first, lock ? lock->until : Timestamp::min());
        }
        return first;
    };
    const Snapshot unlocked = back_up_documents(repository, backup, progress, {}).report.snapshot;
    EXPECT_EQ(earliest(unlocked), Timestamp::min()) << "nothing is locked unasked";

    // No content is new, so its pack is locked by extension.
    backup.run.lock = LockSettings{.keep = std::chrono::days(2)};
    const BackupRunReport report = back_up_documents(repository, backup, progress, {}).report;
    ASSERT_TRUE(report.lock);
    EXPECT_GE(report.lock->packs, 2U);
    EXPECT_GE(earliest(report.snapshot), report.lock->until);
    EXPECT_GE(report.lock->until, system_clock().now() + std::chrono::days(2));

    std::vector<std::string> locked = packs_of(report.snapshot);
    locked.insert(locked.end(),
                  {commit_name(report.snapshot.id), std::string(config_name), std::string(slots_prefix)});
    for (const std::string& prefix : locked) {
        std::vector<ObjectVersion> versions;
        store->list_versions(prefix,
                             [&](const ObjectVersion& version) {
                                 versions.push_back(version);
                                 return true;
                             },
                             {});
        EXPECT_FALSE(versions.empty()) << prefix;
        for (const ObjectVersion& version : versions) {
            EXPECT_EQ(code_of([&] { store->remove_version(version.object.name, version.version, {}); }),
                      ErrorCode::access_denied)
                << version.object.name;
        }
    }

    // New packs are put with their lock.
    std::ofstream(scratch.file("source/another")) << "new";
    const BackupRunReport second = back_up_documents(repository, backup, progress, {}).report;
    EXPECT_GE(earliest(second.snapshot), second.lock->until);
}

// As the command line and holdfast.toml choose it.
TEST(SnapshotLockOnRadosgw, TheModeIsTheOneThatWasChosen) {
    S3Server& server = S3Server::shared(S3ServerKind::radosgw);
    server.make_bucket("lock-mode", false, true);
    const ScratchDirectory scratch;
    std::filesystem::create_directory(scratch.path() / "source");
    std::ofstream(scratch.file("source/document")) << "worth keeping";
    const auto configure = [&](const std::string& lock) {
        std::ofstream(scratch.file("holdfast.toml"))
            << "repository = 's3://lock-mode'\n[s3]\nendpoint = '" << server.value("endpoint")
            << "'\nregion = '" << server.value("region") << "'\n[backup]\nsource = 'documents'\npaths = ['"
            << scratch.file("source") << "']\n"
            << lock;
    };
    RunOptions options;
    options.environment = {{"HOME", scratch.path()},
                           {"HOLDFAST_CONFIG", scratch.file("holdfast.toml")},
                           {"HOLDFAST_KEY_FILE", scratch.file("key")},
                           {"AWS_ACCESS_KEY_ID", server.value("access_key")},
                           {"AWS_SECRET_ACCESS_KEY", server.value("secret_key")}};
    const auto run = [&](std::vector<std::string> words) {
        words.insert(words.begin(), HOLDFAST_PROGRAM);
        words.emplace_back("--json");
        const ProgramRun result = run_program(words, options);
        EXPECT_EQ(result.exit_code, 0) << result.out << result.error;
        return nlohmann::json::parse(result.out, nullptr, false);
    };
    S3Store store(server.settings("lock-mode"));
    const auto mode_of = [&](const nlohmann::json& made) {
        const auto id = id_from_hex<16>(made.value("id", ""));
        const std::optional<Retention> lock =
            id ? store.retention(commit_name(*id), {}) : std::optional<Retention>();
        return lock ? std::optional(lock->mode) : std::nullopt;
    };
    configure("");
    run({"init"});
    EXPECT_EQ(mode_of(run({"backup"})), std::nullopt) << "nothing is locked unasked";
    // Compliance first: a server lets nobody turn a governance lock into one without the right to bypass it.
    configure("lock_days = 1\nlock_mode = 'compliance'\n");
    EXPECT_EQ(mode_of(run({"backup"})), RetentionMode::compliance);
    EXPECT_EQ(mode_of(run({"backup", "--lock-mode", "governance"})), RetentionMode::governance);
    configure("lock_days = 1\n");
    EXPECT_EQ(mode_of(run({"backup"})), RetentionMode::governance);
    EXPECT_EQ(mode_of(run({"backup", "--lock-days", "0"})), std::nullopt);
}

// The server refuses no delete here, since it keeps versions: whatever is deleted is hidden.
TEST(SnapshotLockOnRadosgw, APruneLeavesLockedPacksWhereTheyAre) {
    const Credential credential = Credential::passphrase(text_secret("open sesame"));
    const auto store = lockable_store("snapshot-lock-prune", credential);
    const ScratchDirectory scratch;
    Repository repository(store, unlock(*store, credential),
                          LocalDirectories{scratch.file("cache"), scratch.path().string()}, system_clock(),
                          system_random(), silent_logger());
    std::filesystem::create_directory(scratch.path() / "source");
    Progress progress;
    const auto back_up = [&](const std::string& content, std::optional<LockSettings> lock) {
        std::ofstream(scratch.file("source/document")) << content;
        DocumentsBackup backup;
        backup.run.source = "documents";
        backup.run.beat_interval = Duration::zero();
        backup.run.lock = lock;
        backup.paths = {scratch.file("source")};
        const Snapshot snapshot = back_up_documents(repository, backup, progress, {}).report.snapshot;
        ReachabilityScanner scanner(repository.nodes());
        scanner.add_tree(snapshot.root);
        std::set<std::string> packs;
        for (const auto& [pack, frames] : scanner.frames().packs()) packs.insert(pack.name());
        return std::pair(snapshot.id, packs);
    };
    const auto [locked, locked_packs] = back_up("worth keeping", LockSettings{.keep = std::chrono::days(2)});
    const auto [open, open_packs] = back_up("another", std::nullopt);
    const auto [last, last_packs] = back_up("the last", std::nullopt);
    for (const std::string& name : open_packs) ASSERT_FALSE(locked_packs.contains(name));
    forget_snapshots(repository.context(), {locked, open}, false);

    CollectorSettings settings;
    settings.beat_interval = Duration::zero();
    settings.tolerated_dead_part = 0;
    settings.temporary_directory = scratch.path().string();
    settings.dry_run = true;
    const CollectorReport said = collect_garbage(repository.context(), settings, progress);
    settings.dry_run = false;
    const CollectorReport report = collect_garbage(repository.context(), settings, progress);
    EXPECT_FALSE(report.postponed);
    EXPECT_EQ(report.locked_packs, locked_packs.size());
    EXPECT_EQ(report.deleted_packs, open_packs.size());
    EXPECT_GT(report.dead_bytes_kept, 0U);
    EXPECT_EQ(said.locked_packs, report.locked_packs);
    EXPECT_EQ(said.deleted_packs, report.deleted_packs);
    for (const std::string& name : locked_packs) EXPECT_TRUE(store->head(name, {})) << name;
    EXPECT_TRUE(store->head(commit_name(locked), {}));
    for (const std::string& name : open_packs) EXPECT_FALSE(store->head(name, {})) << name;
    EXPECT_FALSE(store->head(commit_name(open), {}));

    // What was deleted is asked for as if it never was: locking meanwhile depends on that.
    EXPECT_EQ(code_of([&] {
                  store->retain(*open_packs.begin(),
                                {.mode = RetentionMode::governance,
                                 .until = system_clock().now() + std::chrono::days(1)},
                                {});
              }),
              ErrorCode::not_found);
}

} // namespace
} // namespace holdfast::test
