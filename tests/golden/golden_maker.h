// Writes a golden repository, by all that changes one.
#pragma once

#include "base/clock.h"
#include "golden/golden_repository.h"
#include "policy/policy_form.h"
#include "postgres/archive/wal_push.h"
#include "postgres/recovery/recovery_source.h"
#include "repository/backup_run.h"
#include "repository/key_slots.h"
#include "repository/protocol/collector.h"
#include "repository/protocol/statement.h"
#include "service/backup_documents.h"
#include "service/repair_index.h"
#include "service/stated_policies.h"
#include "service/verify.h"
#include "support/wal_segments.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/xattr.h>
#include <unistd.h>

namespace holdfast::test {

constexpr Argon2Cost small_cost{8192, 1};
// As the made log has it.
constexpr std::uint64_t log_system_identifier = 7'000'000'000'000'000'001U;

inline std::string random_text(std::size_t size, std::uint64_t seed) {
    Bytes bytes(size);
    SeededRandom(seed).fill(bytes);
    return std::string(as_text(bytes));
}

inline void must(bool done, const std::string& what) {
    if (!done) throw system_error(errno, what);
}

// Every kind of entry, and files of every kind of content: none, a part of a frame, of segments, with a hole.
inline void make_first_tree(const fs::path& tree) {
    fs::create_directories(tree / "notes");
    for (unsigned i = 0; i < 5; ++i)
        write_file(tree / fmt::format("notes/{}.txt", i), fmt::format("Note number {}.\n", i));
    write_file(tree / "notes/caf\xe9", "a name that is not UTF-8\n");
    write_file(tree / "empty", "");
    fs::create_directories(tree / "nothing in here");
    write_file(tree / "random", random_text(20'000, 1));
    // 17 MiB, told apart page by page, which are nearly nothing once they are compressed.
    std::string large;
    for (unsigned page = 0; page < 17 * 256; ++page) large += fmt::format("{:4096}", page % 7);
    write_file(tree / "large", large);
    const FileDescriptor sparse = open_file((tree / "sparse").string(), O_WRONLY | O_CREAT);
    write_at(sparse.get(), 40u << 20, as_bytes("behind a hole"), "sparse");
    fs::create_symlink("notes/1.txt", tree / "link");
    fs::create_hard_link(tree / "notes/2.txt", tree / "second name");
    const auto path = [&](const std::string& name) { return (tree / name).string(); };
    must(::mkfifo(path("pipe").c_str(), 0620) == 0, "mkfifo");
    must(::mknod(path("character device").c_str(), S_IFCHR | 0666, makedev(1, 3)) == 0, "mknod");
    must(::mknod(path("block device").c_str(), S_IFBLK | 0600, makedev(7, 300)) == 0, "mknod");
    const int socket = ::socket(AF_UNIX, SOCK_STREAM, 0);
    sockaddr_un address{.sun_family = AF_UNIX, .sun_path = {}};
    path("socket").copy(address.sun_path, sizeof address.sun_path - 1);
    must(::bind(socket, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0, "bind");
    ::close(socket);
    must(::chmod(path("notes/3.txt").c_str(), 04750) == 0, "chmod");
    must(::chown(path("notes/4.txt").c_str(), 1234, 5678) == 0, "chown");
    must(::setxattr(path("notes/0.txt").c_str(), "user.colour", "blue", 4, 0) == 0, "setxattr");
}

inline void set_times(const fs::path& tree, std::int64_t seconds) {
    for (const auto& entry : fs::recursive_directory_iterator(tree)) {
        const timespec times[2] = {{seconds, 0}, {seconds, 123'456'789}};
        must(::utimensat(AT_FDCWD, entry.path().c_str(), times, AT_SYMLINK_NOFOLLOW) == 0, "utimensat");
    }
}

// Writes one, by all that changes a repository.
class Maker {
  public:
    explicit Maker(const std::string& name)
        : directory_(golden + name), made_(directory_, directory_ + "/store"), tree_(tree_place + "/tree") {}

    void make() {
        for (const std::string& old : {directory_, tree_place}) fs::remove_all(old);
        fs::create_directories(directory_ + "/keys");
        make_keys();
        make_first_tree(tree_);
        set_times(tree_, 1'700'000'000);
        const Snapshot first = back_up("first");
        back_up_of_writer("leaver");
        change_keys();
        // The next one shares a pack between what stays and what goes, so that a collection copies it.
        write_file(tree_ / "passing", random_text(20'000, 2));
        write_file(tree_ / "stays", random_text(15'000, 3));
        std::string large = content_of(tree_ / "large");
        large.replace(9'000'000, 7, "changed");
        write_file(tree_ / "large", large);
        set_times(tree_, 1'700'000'060);
        const Snapshot passing = back_up("passing");
        fs::remove(tree_ / "passing");
        fs::remove(tree_ / "notes/1.txt");
        write_file(tree_ / "notes/new.txt", "in the last snapshot\n");
        set_times(tree_, 1'700'000'120);
        back_up("last");
        back_up_of_writer("agent");
        collect(passing, archive_log(first));
        write_file(tree_ / "forgotten", "in a snapshot that nobody wants\n");
        const Snapshot unwanted = back_up("unwanted");
        const auto repository = open();
        record_verification(*repository, {}, verify_repository(*repository, {}, progress_, {}));
        forget_snapshot(repository->context(), unwanted.id, true);
        state(*repository, "kept", parse_policy("kept", policy_of_golden));
        state(*repository, "over", parse_policy("over", policy_of_golden));
        state(*repository, "over", std::nullopt);
        with_slots([](KeySlots& slots) { slots.rotate(); });
        leave_unfinished(first);
        repair_index(*open(), progress_, {});
        fs::remove_all(tree_place);
    }

  private:
    static void state(Repository& repository, const std::string& name, const std::optional<Policy>& policy) {
        state_policy(repository, list_statements(repository.context()), name, policy);
    }
    std::unique_ptr<Repository> open(const std::string& label = "owner") {
        const auto with = [&](const Credential& credential) {
            return made_.open(credential, scratch_, clock_, random_);
        };
        return label == "leaver" ? with(made_.leaver()) : with(made_.credentials().at(label));
    }

    void make_keys() {
        for (const std::string label : {"auditor", "agent", "leaver", "janitor"}) {
            Secret key(32);
            random_.fill(key.mutable_view());
            write_key_file(made_.key(label), key);
        }
        const std::shared_ptr<Store> store = made_.store();
        InitOptions options;
        options.label = "owner";
        options.cost = small_cost;
        options.capabilities = {
            .put_if_absent = true, .consistent = true, .largest_object_bytes = std::uint64_t{1} << 40};
        const CreatedRepository created = create_repository(
            *store, clock_, random_, Credential::passphrase(Secret::copy_of(as_bytes(passphrase))), options);
        write_file(made_.key("recovery"), created.recovery_text + "\n");
        must(::chmod(made_.key("recovery").c_str(), 0600) == 0, "chmod");
        with_slots([&](KeySlots& slots) {
            const Credential auditor = Credential::key_file(read_key_file(made_.key("auditor")));
            const Credential janitor = Credential::key_file(read_key_file(made_.key("janitor")));
            slots.add(
                {.label = "auditor", .role = Role::read, .credential = &auditor, .identity = {}, .cost = {}});
            slots.add({.label = "janitor",
                       .role = Role::prune,
                       .credential = &janitor,
                       .identity = {},
                       .cost = {}});
            for (const std::string label : {"agent", "leaver"})
                slots.add({.label = label,
                           .role = Role::write,
                           .identity = public_identity(read_key_file(made_.key(label)).key),
                           .cost = {}});
            const Credential guest = Credential::passphrase(Secret::copy_of(as_bytes("a guest's")));
            slots.add({.label = "guest",
                       .role = Role::read,
                       .domain = "guests",
                       .credential = &guest,
                       .identity = {},
                       .cost = small_cost});
        });
    }

    // Removed slots, of a reader and of a writer, and a second epoch of keys.
    void change_keys() {
        with_slots([&](KeySlots& slots) {
            slots.remove(slots.find("guest"));
            slots.remove(slots.find("leaver"));
            slots.rotate();
        });
    }

    void with_slots(const std::function<void(KeySlots&)>& change) {
        const std::shared_ptr<Store> store = made_.store();
        Unlocked unlocked = unlock(*store, Credential::passphrase(Secret::copy_of(as_bytes(passphrase))));
        KeySlots slots(*store, clock_, random_, unlocked);
        change(slots);
    }

    Snapshot back_up(const std::string& which) {
        DocumentsBackup what = backup_of(which, "golden", tree_);
        what.tree.split_rules = {{"large", SplitMode::pages}};
        const Snapshot snapshot = back_up_documents(*open(), what, progress_, {}).report.snapshot;
        clock_.advance(std::chrono::hours(1));
        // A socket is kept in the snapshot and not made again.
        fs::remove(tree_ / "socket");
        write_file(made_.listing(which), listing_of(tree_));
        return snapshot;
    }

    // By a slot that can write only: a sealed run.
    void back_up_of_writer(const std::string& label) {
        const fs::path tree = fs::path(tree_place) / label;
        write_file(tree / "notes/own.txt", fmt::format("Written by the {}.\n", label));
        write_file(tree / "random", random_text(9'000, label.size()));
        set_times(tree, 1'700'000'030);
        back_up_documents(*open(label), backup_of(label, label + "'s", tree), progress_, {});
        clock_.advance(std::chrono::hours(1));
        write_file(made_.listing(label), listing_of(tree));
    }

    static DocumentsBackup backup_of(const std::string& which, const std::string& source,
                                     const fs::path& tree) {
        DocumentsBackup what;
        what.run = run_of(which, source);
        what.paths = {tree.string()};
        return what;
    }
    static BackupRunSettings run_of(const std::string& which, const std::string& source) {
        BackupRunSettings run;
        run.source = source;
        run.host = "golden";
        run.tags = {{"which", which}};
        run.pipeline.workers = 1;
        run.beat_interval = Duration::zero();
        return run;
    }

    // Two segments by the owner, two and a history by who can write only; and a snapshot that needs the first
    // two. What a cluster has of files is of no matter here: it gets those of `like`. Returns what of the log
    // may go: the segment behind the snapshot.
    LogFloors archive_log(const Snapshot& like) {
        constexpr postgres::Lsn begin{std::uint64_t{5} << 20};
        const MadeLog log(begin, 4);
        for (std::size_t i = 0; i < 4; ++i)
            push(i < 2 ? "owner" : "agent", log.name(i), std::string(as_text(log.segment(i))));
        push("agent", postgres::history_name(2),
             postgres::TimelineHistory(1)
                 .branch(2, begin + 4 * small_segment_bytes, "a standby was promoted")
                 .text());
        const auto repository = open();
        const postgres::WalArchive archive(
            repository->context(),
            postgres::wal_archive_id(repository->keys(), "orders", log_system_identifier));
        BackupRunSettings run = run_of("orders", "orders");
        run.kind = postgres::snapshot_kind;
        run.paths = like.paths;
        BackupRun backup(*repository, run, {});
        backup.set_log({archive.id(), {1, begin.value, begin.value + 2 * small_segment_bytes}});
        backup.commit(like.root, like.totals, SnapshotState::complete);
        fs::copy_file(made_.listing("first"), made_.listing("orders"));
        clock_.advance(std::chrono::hours(1));
        return {{{archive.id(), 1}, begin.value + 3 * small_segment_bytes}};
    }
    void push(const std::string& label, const std::string& name, const std::string& content) {
        const fs::path file = scratch_.path() / "pg_wal" / name;
        write_file(file, content);
        const postgres::PushReport report = postgres::push_wal(
            *open(label), file.string(), {.source = "orders", .spool_directory = scratch_.file("spool")}, {});
        EXPECT_EQ(report.files.at(0).outcome, postgres::PushOutcome::stored) << name;
        EXPECT_TRUE(report.alarms.empty()) << name;
    }

    // A backup that was stopped before its end, with a checkpoint.
    void leave_unfinished(const Snapshot& like) {
        const auto repository = open();
        BackupRunSettings run = run_of("unfinished", "unfinished");
        run.paths = like.paths;
        BackupRun(*repository, run, {}).end_early(like.root);
    }

    void collect(const Snapshot& unwanted, const LogFloors& released) {
        // Who has no content keys, so that what he moves is in runs without them.
        const auto repository = open("janitor");
        forget_snapshot(repository->context(), unwanted.id, false);
        CollectorSettings settings;
        settings.patience = Duration::zero();
        settings.beat_interval = Duration::zero();
        settings.tolerated_dead_part = 0.05;
        settings.released_logs = released;
        const CollectorReport report = collect_garbage(repository->context(), settings, progress_);
        EXPECT_GT(report.rewritten_packs, 0U);
        EXPECT_GT(report.deleted_packs, 0U);
        EXPECT_EQ(report.deleted_log_slices, 1U);
        write_file(made_.log_listing(), log_text(postgres::open_wal_archive(*open(), "orders")));
        fs::remove(made_.listing("passing"));
        clock_.advance(std::chrono::hours(1));
    }

    std::string directory_;
    GoldenRepository made_;
    fs::path tree_;
    ScratchDirectory scratch_;
    SeededRandom random_{20261121};
    FakeClock clock_{from_rfc3339("2026-11-21T10:00:00Z")};
    Progress progress_;
};

} // namespace holdfast::test
