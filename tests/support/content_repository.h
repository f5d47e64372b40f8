// A repository in memory and backup runs in it, for tests of what lies between a file's bytes and its packs.
#pragma once

#include "base/clock.h"
#include "base/random.h"
#include "repository/backup_run.h"
#include "repository/node/directory_node.h"
#include "repository/repository.h"
#include "store/memory_store.h"
#include "support/repository_fixture.h"
#include "support/scratch_directory.h"

#include <functional>
#include <memory>
#include <vector>

namespace holdfast::test {

class ContentRepository {
  public:
    // Puts `around` between the repository and its store.
    using Decorate = std::function<std::shared_ptr<Store>(std::shared_ptr<Store>)>;

    explicit ContentRepository(std::uint64_t seed = 1, Decorate around = {}) : random(seed) {
        MemoryStoreSettings settings;
        settings.capabilities.versions = false;
        settings.clock = &clock;
        memory = std::make_shared<MemoryStore>(settings);
        store = around ? around(memory) : memory;
        InitOptions options;
        options.cost = cheap_cost;
        options.capabilities = memory->capabilities();
        create_repository(*memory, clock, random, credential(), options);
        reopen();
    }

    static Credential credential() { return Credential::passphrase(text_secret("open sesame")); }

    // A repository object that has read nothing yet.
    std::unique_ptr<Repository> open(const Credential& holder, const std::string& cache = "cache") {
        return std::make_unique<Repository>(store, unlock(*store, holder),
                                            LocalDirectories{scratch.file(cache), scratch.path().string()},
                                            clock, random, silent_logger());
    }
    void reopen() { repository = open(credential()); }

    static BackupRunSettings run_settings() {
        BackupRunSettings settings;
        settings.source = "test";
        settings.beat_interval = Duration::zero();
        settings.pipeline.workers = 1;
        settings.pipeline.uploads = 1;
        settings.pipeline.level = {.lowest = 1, .highest = 1, .start = 1};
        return settings;
    }
    std::unique_ptr<BackupRun> begin(BackupRunSettings settings = run_settings(), std::stop_token stop = {}) {
        clock.advance(std::chrono::minutes(10));
        return std::make_unique<BackupRun>(*repository, std::move(settings), std::move(stop));
    }
    // A tree of files side by side; `entries` ascend by name.
    static NodeRef root_of(BackupRun& run, const std::vector<TreeEntry>& entries) {
        DirectoryBuilder builder([&](Bytes node) { return run.writer().put_node(std::move(node)); });
        for (const TreeEntry& entry : entries) builder.add(entry);
        return builder.finish();
    }
    static TreeEntry entry_of(const std::string& name, FileContentResult result) {
        TreeEntry entry;
        entry.name = name;
        entry.size = result.size_bytes;
        entry.digest = result.digest;
        entry.content = std::move(result.content);
        return entry;
    }
    Snapshot commit(BackupRun& run, const std::vector<TreeEntry>& entries) {
        return run.commit(root_of(run, entries), {}, SnapshotState::complete).snapshot;
    }

    ScratchDirectory scratch;
    FakeClock clock{from_rfc3339("2026-11-20T10:00:00Z")};
    SeededRandom random;
    std::shared_ptr<MemoryStore> memory;
    std::shared_ptr<Store> store;
    std::unique_ptr<Repository> repository;
};

} // namespace holdfast::test
