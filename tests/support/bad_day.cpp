#include "support/bad_day.h"

#include "base/error.h"
#include "repository/key_slots.h"

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <thread>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/xattr.h>

namespace holdfast::test {

namespace {

std::shared_ptr<MemoryStore> new_store() {
    MemoryStoreSettings settings;
    settings.capabilities.versions = false;
    settings.capabilities.object_lock = false;
    return std::make_shared<MemoryStore>(settings);
}

void expect(bool done, const std::string& what) {
    if (!done) throw system_error(errno, what);
}

} // namespace

BadDay::BadDay() : store(new_store()), key_(Secret::copy_of(Bytes(32, 7))) {
    std::filesystem::create_directory(source());
    InitOptions options;
    options.recovery_key = false;
    options.capabilities = store->capabilities();
    create_repository(*store, system_clock(), random_,
                      Credential::key_file({key_.copy(), std::nullopt, false}), options);
}

void BadDay::write_file(const std::string& path, std::string_view content) const {
    const std::filesystem::path file = std::filesystem::path(source()) / path;
    std::filesystem::create_directories(file.parent_path());
    std::ofstream(file, std::ios::binary) << content;
}

void BadDay::write_random(const std::string& path, std::size_t size, std::uint64_t seed) const {
    Bytes bytes(size);
    SeededRandom(seed).fill(bytes);
    write_file(path, as_text(bytes));
}

void BadDay::make_tree() const {
    for (unsigned i = 0; i < 12; ++i) write_file(fmt::format("notes/{}.txt", i), fmt::format("note {}\n", i));
    write_random("photos/a.jpg", 150'000, 1);
    write_random("photos/b.jpg", 200'000, 2);
    write_random("deep/er/and/deeper/film", 700'000, 3);
    write_file("empty", "");
    const std::string root = source() + "/";
    std::filesystem::create_directory(root + "nothing in here");
    std::filesystem::create_hard_link(root + "photos/a.jpg", root + "same.jpg");
    std::filesystem::create_symlink("notes/1.txt", root + "link");
    expect(::mkfifo((root + "pipe").c_str(), 0620) == 0, "mkfifo");
    expect(::chmod((root + "notes/3.txt").c_str(), 04711) == 0, "chmod");
    expect(::setxattr((root + "notes/4.txt").c_str(), "user.colour", "blue", 4, 0) == 0, "setxattr");
    const timespec times[2] = {{1'000'000'000, 123'456'789}, {1'100'000'000, 987'654'321}};
    expect(::utimensat(AT_FDCWD, (root + "notes/5.txt").c_str(), times, 0) == 0, "utimensat");
    let_times_settle();
}

void BadDay::change_tree() const {
    write_random("photos/c.jpg", 175'000, 4);
    write_file("notes/6.txt", "changed\n");
    std::filesystem::remove(source() + "/notes/7.txt");
    std::filesystem::rename(source() + "/photos/b.jpg", source() + "/photos/d.jpg");
    let_times_settle();
}

void BadDay::let_times_settle() { std::this_thread::sleep_for(std::chrono::milliseconds(50)); }

BadDay::Objects BadDay::save() const {
    Objects objects;
    for (const ObjectInfo& info : store->list_all(""))
        objects[info.name] = store->get(info.name, {}, {}).value();
    return objects;
}

void BadDay::load(const Objects& objects) {
    store = new_store();
    for (const auto& [name, bytes] : objects) store->put(name, bytes);
}

std::unique_ptr<Repository> BadDay::open_with(const std::shared_ptr<Store>& through, Clock& clock) const {
    return std::make_unique<Repository>(
        through, unlock(*through, Credential::key_file({key_.copy(), std::nullopt, false})),
        LocalDirectories{scratch.file("cache"), scratch.path().string()}, clock, random_, silent_logger());
}

std::unique_ptr<Repository> BadDay::open(const std::shared_ptr<Store>& through, Clock& clock) {
    return open_with(through, clock);
}

DocumentsBackup BadDay::request(const std::string& name) const {
    DocumentsBackup what;
    what.run.source = name;
    what.run.host = "test";
    what.paths = {source()};
    what.run.pipeline.pack_bytes = 512u << 10;
    what.run.pipeline.workers = 1;
    what.run.pipeline.uploads = 1;
    what.run.beat_interval = Duration::zero();
    return what;
}

DocumentsBackupResult BadDay::back_up(const std::shared_ptr<Store>& through,
                                      const DocumentsBackup& what) const {
    const std::unique_ptr<Repository> repository = open_with(through, system_clock());
    Progress progress;
    return back_up_documents(*repository, what, progress, {});
}

CollectorSettings BadDay::collection() {
    CollectorSettings settings;
    settings.patience = Duration::zero();
    settings.beat_interval = Duration::zero();
    settings.tolerated_dead_part = 0.05;
    settings.pack_bytes = 512u << 10;
    return settings;
}

CollectorReport BadDay::prune(const std::shared_ptr<Store>& through, const CollectorSettings& settings) {
    const std::unique_ptr<Repository> repository = open(through);
    Progress progress;
    return collect_garbage(repository->context(), settings, progress);
}

BadDay::Restored BadDay::restore(const std::shared_ptr<Store>& through, const Snapshot& snapshot) {
    const std::unique_ptr<Repository> repository = open(through);
    const std::string target = scratch.file(fmt::format("restored-{}", restores_++));
    Progress progress;
    Restored restored;
    restored.directory = target + source();
    restored.result = restore_documents(*repository, snapshot, target, {}, progress, {});
    return restored;
}

std::string BadDay::restore_differs(const Snapshot& snapshot, const TreeListing& expected) {
    const Restored restored = restore(store, snapshot);
    std::string text = difference(expected, list_tree(restored.directory));
    for (const RestoreProblem& problem : restored.result.problems)
        text += problem.path + ": " + problem.what + "\n";
    std::filesystem::remove_all(scratch.file(fmt::format("restored-{}", restores_ - 1)));
    return text;
}

std::string BadDay::damages() {
    const std::unique_ptr<Repository> repository = open();
    VerifySettings settings;
    settings.read_data = true;
    Progress progress;
    const VerifyReport report = verify_repository(*repository, settings, progress, {});
    std::string text;
    for (const Damage& damage : report.damages) text += damage.object + ": " + damage.what + "\n";
    for (const Damage& unchecked : report.unchecked) text += "not checked: " + unchecked.object + "\n";
    if (report.closed.objects > 0) text += fmt::format("without a key: {} objects\n", report.closed.objects);
    for (const AffectedPath& path : report.affected_paths) text += "affected: " + path.path + "\n";
    return text;
}

std::vector<std::string> BadDay::names(const std::string& prefix) const {
    std::vector<std::string> found;
    for (const ObjectInfo& info : store->list_all(prefix)) found.push_back(info.name);
    return found;
}

std::uint64_t BadDay::stored_bytes(const std::string& prefix) const {
    std::uint64_t bytes = 0;
    for (const ObjectInfo& info : store->list_all(prefix)) bytes += info.size_bytes;
    return bytes;
}

bool was_killed(const std::function<void()>& body) {
    try {
        body();
        return false;
    } catch (const ProcessDied&) {
        return true;
    }
}

} // namespace holdfast::test
