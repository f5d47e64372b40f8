// A repository in memory, filled by real backups of real directories, and open to damage.
#pragma once

#include "base/clock.h"
#include "base/random.h"
#include "repository/key_slots.h"
#include "repository/protocol/collector.h"
#include "repository/protocol/snapshot_list.h"
#include "repository/repository.h"
#include "repository/unlock.h"
#include "service/backup_documents.h"
#include "store/memory_store.h"
#include "support/repository_fixture.h"
#include "support/scratch_directory.h"

#include <fstream>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

namespace holdfast::test {

inline MemoryStoreSettings plain_memory() {
    MemoryStoreSettings settings;
    settings.capabilities.versions = false;
    return settings;
}

class DocumentRepository {
  public:
    explicit DocumentRepository(std::map<std::uint8_t, std::string> pack_classes = InitOptions{}.classes)
        : store(std::make_shared<MemoryStore>(plain_memory())) {
        InitOptions options;
        options.classes = std::move(pack_classes);
        options.cost = cheap_cost;
        options.capabilities = store->capabilities();
        create_repository(*store, system_clock(), random, passphrase(), options);
        reopen();
    }

    static Credential passphrase() { return Credential::passphrase(text_secret("open sesame")); }

    // A repository object that has read nothing yet.
    std::unique_ptr<Repository> open(const Credential& credential, UnlockOptions unlocking = {}) {
        return std::make_unique<Repository>(store, unlock(*store, credential, std::move(unlocking)),
                                            LocalDirectories{scratch.file("cache"), scratch.path().string()},
                                            system_clock(), random, silent_logger());
    }
    void reopen() { repository = open(passphrase()); }

    // Adds a slot, and returns what opens it.
    Credential add_slot(Role role, const std::string& domain = "default") {
        Credential credential = Credential::key_file(key_file_of(5));
        Unlocked admin = unlock(*store, passphrase());
        KeySlots slots(*store, system_clock(), random, admin);
        NewSlot slot;
        slot.label = "another";
        slot.role = role;
        slot.domain = domain;
        slot.credential = &credential;
        slots.add(slot);
        return credential;
    }

    // Two files in one pack, of which one dies: a collection copies what lives of the other to packs of
    // `pack_bytes`. Returns the newest snapshot, which has "lives.bin".
    Snapshot move_a_file(std::uint64_t pack_bytes) {
        write_file("dies.bin", 5'000'000, 1);
        write_file("lives.bin", 5'000'000, 2);
        const Snapshot older = back_up("documents", 16u << 20);
        std::filesystem::remove(source() / "dies.bin");
        const Snapshot newest = back_up("documents", 16u << 20);
        forget_snapshot(repository->context(), older.id, false);
        CollectorSettings settings;
        settings.beat_interval = Duration::zero();
        settings.tolerated_dead_part = 0.01;
        settings.pack_bytes = pack_bytes;
        Progress progress;
        collect_garbage(repository->context(), settings, progress);
        return newest;
    }

    // Writes a file below the source: bytes that do not compress, told by `seed`.
    void write_file(const std::string& path, std::size_t size, std::uint64_t seed) {
        Bytes bytes(size);
        SeededRandom(seed).fill(bytes);
        write_file(path, as_text(bytes));
    }
    void write_file(const std::string& path, std::string_view content) {
        const std::filesystem::path file = source() / path;
        std::filesystem::create_directories(file.parent_path());
        std::ofstream(file, std::ios::binary) << content;
    }
    std::filesystem::path source() const { return scratch.path() / "source"; }
    // As it stands in snapshots.
    std::string path_in_snapshot(const std::string& path) const {
        return (source() / path).string().substr(1);
    }

    Snapshot back_up(const std::string& name = "documents", std::uint64_t pack_bytes = 256u << 10) {
        DocumentsBackup backup;
        backup.run.source = name;
        backup.run.host = "test";
        backup.paths = {source().string()};
        backup.run.pipeline.pack_bytes = pack_bytes;
        backup.run.beat_interval = Duration::zero();
        Progress progress;
        return back_up_documents(*repository, backup, progress, {}).report.snapshot;
    }

    // Restores into a new directory with a repository that has read nothing yet.
    TreeRestoreResult restore(const Snapshot& snapshot, const std::vector<std::string>& paths,
                              const std::string& target) {
        reopen();
        TreeRestoreSettings settings;
        for (const std::string& path : paths) settings.paths.push_back(path_in_snapshot(path));
        Progress progress;
        return restore_documents(*repository, snapshot, scratch.file(target), settings, progress, {});
    }
    bool restored_right(const std::string& path, const std::string& target) const {
        const std::filesystem::path restored = scratch.file(target) + "/" + path_in_snapshot(path);
        return std::filesystem::exists(restored) && content_of(restored) == content_of(source() / path);
    }
    static std::string content_of(const std::filesystem::path& path) {
        std::ifstream in(path, std::ios::binary);
        return {std::istreambuf_iterator<char>(in), {}};
    }

    std::vector<std::string> names(const std::string& prefix) const {
        std::vector<std::string> found;
        for (const ObjectInfo& info : store->list_all(prefix)) found.push_back(info.name);
        return found;
    }
    Bytes bytes_of(const std::string& name) const { return store->get(name, {}, {}).value(); }
    void flip_bit(const std::string& name, std::size_t position) {
        Bytes bytes = bytes_of(name);
        bytes.at(position) ^= 0x10;
        store->corrupt(name, std::move(bytes));
    }

    ScratchDirectory scratch;
    std::shared_ptr<MemoryStore> store;
    SeededRandom random{11};
    std::unique_ptr<Repository> repository;
};

} // namespace holdfast::test
