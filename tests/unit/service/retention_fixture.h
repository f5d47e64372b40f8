// A repository whose clock, and that of its store, tests decide, and rules for it.
#pragma once

#include "policy/policy_form.h"
#include "service/backup_documents.h"
#include "service/retention.h"
#include "store/memory_store.h"
#include "support/repository_fixture.h"
#include "support/scratch_directory.h"

#include <filesystem>
#include <fstream>

#include <gtest/gtest.h>

namespace holdfast {

class RetentionTest : public testing::Test {
  protected:
    RetentionTest() {
        MemoryStoreSettings settings;
        settings.capabilities.versions = false;
        settings.clock = &store_clock;
        store = std::make_shared<MemoryStore>(settings);
        InitOptions options;
        options.cost = cheap_cost;
        options.capabilities = store->capabilities();
        create_repository(*store, clock, random, passphrase(), options);
        repository = open(passphrase());
        std::filesystem::create_directories(scratch.file("source"));
        std::ofstream(scratch.file("source/file")) << "content";
    }

    static Credential passphrase() { return Credential::passphrase(text_secret("open sesame")); }
    std::unique_ptr<Repository> open(const Credential& credential) {
        return std::make_unique<Repository>(store, unlock(*store, credential, {}),
                                            LocalDirectories{scratch.file("cache"), scratch.path().string()},
                                            clock, random, silent_logger());
    }
    void pass(Duration time) {
        clock.advance(time);
        store_clock.advance(time);
    }
    Snapshot back_up(const std::string& source, std::map<std::string, std::string> tags = {}) {
        DocumentsBackup backup;
        backup.run.source = source;
        backup.run.tags = std::move(tags);
        backup.run.beat_interval = Duration::zero();
        backup.paths = {scratch.file("source")};
        Progress progress;
        return back_up_documents(*repository, backup, progress, {}).report.snapshot;
    }
    // A second later somebody says how a verification of it came out.
    void say_verified(const Snapshot& snapshot, const char* what, const char* result) {
        clock.advance(std::chrono::seconds(1));
        Statement statement;
        statement.snapshot = snapshot.id;
        statement.type = StatementType::verification;
        statement.time = clock.now();
        statement.name = what;
        statement.value = result;
        put_statement(repository->context(), statement);
    }
    // One a day.
    std::vector<Snapshot> back_up_daily(const std::string& source, int count) {
        std::vector<Snapshot> snapshots;
        for (int day = 0; day < count; ++day) {
            pass(std::chrono::days(1));
            snapshots.push_back(back_up(source));
        }
        return snapshots;
    }
    std::vector<RunId> left(const std::string& source = "documents") {
        std::vector<RunId> ids;
        for (const Snapshot& snapshot : list_snapshots(repository->context()).snapshots)
            if (snapshot.source == source) ids.push_back(snapshot.id);
        return ids;
    }
    RetentionResult enforce(bool dry_run = false) {
        return enforce_retention(*repository, policies, {.source = {}, .dry_run = dry_run, .trust = {}}, {});
    }
    RetentionResult enforce_with(ClockTrust trust) {
        return enforce_retention(*repository, policies, {.source = {}, .dry_run = false, .trust = trust}, {});
    }
    static std::vector<Policy> policy(const char* retention, const char* sources = "\"*\"") {
        return {parse_policy("p", std::string(R"({"sources": )") + sources + R"(, "retention": )" +
                                      retention + "}")};
    }

    test::ScratchDirectory scratch;
    FakeClock clock{from_rfc3339("2026-11-01T03:00:00Z")};
    FakeClock store_clock{from_rfc3339("2026-11-01T03:00:00Z")};
    SeededRandom random{4711};
    std::shared_ptr<MemoryStore> store;
    std::unique_ptr<Repository> repository;
    std::vector<Policy> policies;
};

} // namespace holdfast
