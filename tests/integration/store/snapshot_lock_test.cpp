// A backup that locks its snapshot, on a server that really refuses to delete.

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

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace holdfast::test {
namespace {

TEST(SnapshotLockOnRadosgw, NoVersionThatTheSnapshotNeedsCanBeRemoved) {
    S3Server& server = S3Server::shared(S3ServerKind::radosgw);
    server.make_bucket("snapshot-lock", false, true);
    const auto store = std::make_shared<S3Store>(server.settings("snapshot-lock"));
    InitOptions options;
    options.cost = cheap_cost;
    options.capabilities = probe_capabilities(*store);
    ASSERT_TRUE(options.capabilities.object_lock);
    const Credential credential = Credential::passphrase(text_secret("open sesame"));
    create_repository(*store, system_clock(), system_random(), credential, options);
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

} // namespace
} // namespace holdfast::test
