// A small real tree, a repository in memory, and programs that work on it until they are killed.
#pragma once

#include "base/clock.h"
#include "base/random.h"
#include "repository/protocol/collector.h"
#include "repository/repository.h"
#include "service/backup_documents.h"
#include "service/verify.h"
#include "store/fault_store.h"
#include "store/memory_store.h"
#include "support/scratch_directory.h"
#include "support/tree_listing.h"

#include <functional>
#include <map>
#include <memory>
#include <string>

namespace holdfast::test {

class BadDay {
  public:
    // Name to bytes: what a store holds.
    using Objects = std::map<std::string, Bytes>;

    // Creates the repository; the tree is empty.
    BadDay();

    // The tree, below source().
    std::string source() const { return scratch.file("source"); }
    void write_file(const std::string& path, std::string_view content) const;
    // Bytes that do not compress, told by `seed`.
    void write_random(const std::string& path, std::size_t size, std::uint64_t seed) const;
    // A few of each kind of entry.
    void make_tree() const;
    // One new, one changed, one removed, one renamed.
    void change_tree() const;
    // Waits until what was written last can be told from what is written next by its times.
    static void let_times_settle();
    TreeListing tree() const { return list_tree(source()); }

    // The store's whole content, and going back to it. Repositories that are open do not see it.
    Objects save() const;
    void load(const Objects& objects);

    // A program that has just started: it works over `through`, which ends at this store, and with `clock`.
    std::unique_ptr<Repository> open(const std::shared_ptr<Store>& through, Clock& clock = system_clock());
    std::unique_ptr<Repository> open() { return open(store); }
    // What a backup asks for: small packs, threads enough to be quick and few enough to be told apart.
    DocumentsBackup request(const std::string& name = "home") const;
    DocumentsBackupResult back_up(const std::shared_ptr<Store>& through, const DocumentsBackup& what) const;
    Snapshot back_up(const std::string& name = "home") {
        return back_up(store, request(name)).report.snapshot;
    }
    static CollectorSettings collection();
    CollectorReport prune(const std::shared_ptr<Store>& through,
                          const CollectorSettings& settings = collection());

    // What differs between `expected` and the restored snapshot; empty when nothing does and nothing was
    // reported.
    std::string restore_differs(const Snapshot& snapshot, const TreeListing& expected);
    // Restores over `through` into a new directory. The result of the restore, and where the tree is.
    struct Restored {
        TreeRestoreResult result;
        std::string directory;
    };
    Restored restore(const std::shared_ptr<Store>& through, const Snapshot& snapshot);
    // What verify finds, content read; empty when all is whole.
    std::string damages();
    std::vector<Snapshot> snapshots() { return list_snapshots(open()->context()).snapshots; }
    std::vector<std::string> names(const std::string& prefix) const;
    std::uint64_t stored_bytes(const std::string& prefix) const;

    ScratchDirectory scratch;
    std::shared_ptr<MemoryStore> store;

  private:
    std::unique_ptr<Repository> open_with(const std::shared_ptr<Store>& through, Clock& clock) const;

    mutable SeededRandom random_{5};
    Secret key_;
    unsigned restores_ = 0;
};

// Runs `body`; whether it ended because its process was killed.
bool was_killed(const std::function<void()>& body);

} // namespace holdfast::test
