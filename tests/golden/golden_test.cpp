// A small repository that an earlier version wrote is read, proven, restored and gone on with by this one.
//
// With HOLDFAST_MAKE_GOLDEN=NAME in its environment the program writes tests/golden/NAME anew first; see
// README.md.
#include "base/clock.h"
#include "base/file_descriptor.h"
#include "base/random.h"
#include "policy/policy_form.h"
#include "repository/key_file.h"
#include "repository/key_slots.h"
#include "repository/node/directory_cursor.h"
#include "repository/protocol/collector.h"
#include "repository/protocol/statement.h"
#include "service/backup_documents.h"
#include "service/stated_policies.h"
#include "service/verify.h"
#include "store/file_store.h"
#include "support/scratch_directory.h"
#include "support/tree_listing.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>

#include <fcntl.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/xattr.h>
#include <unistd.h>

namespace holdfast::test {
namespace {

namespace fs = std::filesystem;
using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;

const std::string golden = std::string(HOLDFAST_TEST_DATA) + "/golden/";
// Names of the source are in the snapshots, so it is the same for everybody.
const std::string tree_place = "/tmp/holdfast-golden";
constexpr std::string_view passphrase = "correct horse battery staple";
constexpr Argon2Cost small_cost{8192, 1};

void write_file(const fs::path& file, std::string_view content) {
    fs::create_directories(file.parent_path());
    std::ofstream(file, std::ios::binary) << content;
}

std::string random_text(std::size_t size, std::uint64_t seed) {
    Bytes bytes(size);
    SeededRandom(seed).fill(bytes);
    return std::string(as_text(bytes));
}

void must(bool done, const std::string& what) {
    if (!done) throw system_error(errno, what);
}

// Every kind of entry, and files of every kind of content: none, a part of a frame, of segments, with a hole.
void make_first_tree(const fs::path& tree) {
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

void set_times(const fs::path& tree, std::int64_t seconds) {
    for (const auto& entry : fs::recursive_directory_iterator(tree)) {
        const timespec times[2] = {{seconds, 0}, {seconds, 123'456'789}};
        must(::utimensat(AT_FDCWD, entry.path().c_str(), times, AT_SYMLINK_NOFOLLOW) == 0, "utimensat");
    }
}

// What a directory must hold, one line an entry. The directory itself may have any time.
std::string listing_of(const std::string& directory) {
    std::string text;
    for (const auto& [path, line] : list_tree(directory)) {
        if (path.empty()) continue;
        std::string printable;
        for (const char c : path) {
            printable += c >= ' ' && c < 127 ? std::string(1, c)
                                             : fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
        }
        text += fmt::format("{}: {}\n", printable, line);
    }
    return text;
}

std::string content_of(const std::string& file) {
    std::ifstream in(file, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
}

constexpr const char* policy_of_golden = R"({"sources": ["golden"], "time_zone": "Europe/Berlin",
    "backup": {"name": "nightly", "cron": "30 2 * * *"}, "retention": {"daily": 7, "yearly": "7y"}})";

// A directory of tests/golden: the store, the keys that open it, and what it must restore to.
class GoldenRepository {
  public:
    GoldenRepository(std::string directory, std::string store_directory)
        : keys_(directory + "/keys/"),
          listing_(directory + "/listing-"),
          store_directory_(std::move(store_directory)) {}

    // Who may open it: label, and what with.
    std::map<std::string, Credential> credentials() const {
        std::map<std::string, Credential> all;
        all.emplace("owner", Credential::passphrase(Secret::copy_of(as_bytes(passphrase))));
        all.emplace("auditor", Credential::key_file(read_key_file(keys_ + "auditor")));
        all.emplace("agent", Credential::private_key(read_key_file(keys_ + "agent")));
        all.emplace("janitor", Credential::key_file(read_key_file(keys_ + "janitor")));
        all.emplace("recovery key", Credential::key_file(read_key_file(keys_ + "recovery")));
        return all;
    }
    std::string key(const std::string& label) const { return keys_ + label; }
    std::string listing(const std::string& which) const { return listing_ + which + ".txt"; }

    std::shared_ptr<Store> store() const { return std::make_shared<FileStore>(store_directory_); }
    std::unique_ptr<Repository> open(const Credential& credential, const ScratchDirectory& scratch,
                                     Clock& clock, Random& random) const {
        const std::shared_ptr<Store> opened = store();
        return std::make_unique<Repository>(opened, unlock(*opened, credential),
                                            LocalDirectories{scratch.file("cache"), scratch.path().string()},
                                            clock, random, silent_logger());
    }

  private:
    std::string keys_, listing_, store_directory_;
};

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
        back_up("first");
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
        collect(passing);
        write_file(tree_ / "forgotten", "in a snapshot that nobody wants\n");
        const Snapshot unwanted = back_up("unwanted");
        const auto repository = open();
        record_verification(*repository, {}, verify_repository(*repository, {}, progress_, {}));
        forget_snapshot(repository->context(), unwanted.id, true);
        state(*repository, "kept", parse_policy("kept", policy_of_golden));
        state(*repository, "over", parse_policy("over", policy_of_golden));
        state(*repository, "over", std::nullopt);
        fs::remove_all(tree_place);
    }

  private:
    static void state(Repository& repository, const std::string& name, const std::optional<Policy>& policy) {
        state_policy(repository, list_statements(repository.context()), name, policy);
    }
    std::unique_ptr<Repository> open() {
        return made_.open(made_.credentials().at("owner"), scratch_, clock_, random_);
    }

    void make_keys() {
        for (const std::string label : {"auditor", "agent", "janitor"}) {
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
            slots.add({.label = "agent",
                       .role = Role::write,
                       .identity = public_identity(read_key_file(made_.key("agent")).key),
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

    // A removed slot, and a second epoch of keys.
    void change_keys() {
        with_slots([&](KeySlots& slots) {
            slots.remove(slots.find("guest"));
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
        DocumentsBackup what;
        what.run.source = "golden";
        what.run.host = "golden";
        what.run.tags = {{"which", which}};
        what.run.pipeline.workers = 1;
        what.run.beat_interval = Duration::zero();
        what.paths = {tree_.string()};
        what.tree.split_rules = {{"large", SplitMode::pages}};
        const auto repository = open();
        const Snapshot snapshot = back_up_documents(*repository, what, progress_, {}).report.snapshot;
        clock_.advance(std::chrono::hours(1));
        // A socket is kept in the snapshot and not made again.
        fs::remove(tree_ / "socket");
        write_file(made_.listing(which), listing_of(tree_));
        return snapshot;
    }

    void collect(const Snapshot& unwanted) {
        const auto repository = open();
        forget_snapshot(repository->context(), unwanted.id, false);
        CollectorSettings settings;
        settings.patience = Duration::zero();
        settings.beat_interval = Duration::zero();
        settings.tolerated_dead_part = 0.05;
        const CollectorReport report = collect_garbage(repository->context(), settings, progress_);
        EXPECT_GT(report.rewritten_packs, 0U);
        EXPECT_GT(report.deleted_packs, 0U);
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
        for (const std::string folder :
             {"config", "keys", "grants", "revocations", "packs", "index", "intents", "commits", "forgets",
              "statements", "verdicts", "moved"}) {
            EXPECT_TRUE(folders.contains(folder)) << folder;
        }
        const std::shared_ptr<Store> store = one.store();
        Unlocked unlocked = unlock(*store, one.credentials().at("owner"));
        std::multiset<std::string> kinds;
        for (const SlotSummary& slot : KeySlots(*store, system_clock(), system_random(), unlocked).list())
            kinds.insert(slot.removed ? "removed" : std::string(to_string(*slot.kind)));
        EXPECT_EQ(kinds, (std::multiset<std::string>{"key-file", "key-file", "key-file", "passphrase",
                                                     "public-key", "removed"}));
        const auto repository = open(one, "owner");
        const StatementList statements = list_statements(repository->context());
        EXPECT_THAT(statements.statements, Not(IsEmpty()));
        EXPECT_THAT(statements.problems, IsEmpty());
        const StatedPolicies stated = stated_policies(statements);
        EXPECT_THAT(stated.problems, IsEmpty());
        if (name == "repository-1") {
            EXPECT_THAT(stated.policies, IsEmpty());
        } else {
            ASSERT_THAT(stated.policies, SizeIs(1));
            EXPECT_EQ(stated.policies[0].policy.name, "kept");
            EXPECT_EQ(stated.policies[0].body, policy_json(parse_policy("kept", policy_of_golden)));
        }
        const SnapshotList snapshots = list_snapshots(repository->context());
        EXPECT_THAT(snapshots.forgotten, Not(IsEmpty()));
        ASSERT_THAT(snapshots.snapshots, SizeIs(2));
        EXPECT_EQ(snapshots.snapshots[0].tags.at("which"), "first");
        EXPECT_EQ(to_rfc3339(snapshots.snapshots[0].time), "2026-11-21T10:00:00Z");
        EXPECT_EQ(snapshots.snapshots[1].tags.at("which"), "last");
        const auto socket = find_path(repository->nodes(), snapshots.snapshots[0].root,
                                      tree_place.substr(1) + "/tree/socket");
        ASSERT_TRUE(socket);
        EXPECT_EQ(socket->type, EntryType::socket);
    }
}

TEST_F(Golden, IsProvenAndRestoredByWhoMayRead) {
    for (const auto& [name, one] : repositories()) {
        for (const std::string label : {"owner", "auditor", "recovery key"}) {
            SCOPED_TRACE(name + " by " + label);
            const auto repository = open(one, label);
            expect_intact(*repository);
            for (const Snapshot& snapshot : list_snapshots(repository->context()).snapshots) {
                const std::string which = snapshot.tags.at("which");
                const std::string target = scratch.file(label + " " + which);
                const TreeRestoreResult result =
                    restore_documents(*repository, snapshot, target, {}, progress, {});
                for (const RestoreProblem& problem : result.problems)
                    ADD_FAILURE() << problem.path << ": " << problem.what;
                EXPECT_EQ(listing_of(target + snapshot.paths.front()), content_of(one.listing(which)));
                fs::remove_all(target);
            }
        }
    }
}

TEST_F(Golden, IsGoneOnWith) {
    for (const auto& [name, one] : repositories()) {
        SCOPED_TRACE(name);
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
        CollectorSettings settings;
        settings.patience = Duration::zero();
        settings.beat_interval = Duration::zero();
        EXPECT_GT(collect_garbage(open(one, "janitor")->context(), settings, progress).packs_before, 0U);
        const auto repository = open(one, "owner");
        expect_intact(*repository);
        EXPECT_THAT(list_snapshots(repository->context()).snapshots, SizeIs(4));
    }
}

} // namespace
} // namespace holdfast::test
