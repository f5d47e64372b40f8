// Notes what a program has made durable, so that a power cut can be played: whatever it has not synced by
// then is gone. Loaded into the program with LD_PRELOAD.
//
// HOLDFAST_POWER_LASTS, if given, is the number of the sync at which the program is killed.
// HOLDFAST_POWER_ROOT is the folder that is watched, HOLDFAST_POWER_NOTES where notes are kept: for each file
// that was synced its content ("c-<key>"), for each directory its names ("n-<key>"). The key is the inode and
// the time it was born, since inodes are used again. What happens to the file system is not changed.
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

#include <dirent.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace {

[[noreturn]] void give_up(const char* what, const std::string& path) {
    std::fprintf(stderr, "power loss recorder: %s %s: %s\n", what, path.c_str(), std::strerror(errno));
    std::abort();
}

std::string setting(const char* name) {
    const char* value = std::getenv(name);
    return value == nullptr ? std::string() : value;
}

struct Looked {
    std::string key;
    unsigned mode = 0;
    timespec modified{};
    uid_t user = 0;
    gid_t group = 0;
};

// By descriptor when `name` is empty. False when it is gone.
bool look(int directory, const char* name, Looked& looked) {
    struct statx status{};
    const int flags = *name == '\0' ? AT_EMPTY_PATH : AT_SYMLINK_NOFOLLOW;
    if (::statx(directory, name, flags, STATX_BASIC_STATS | STATX_BTIME, &status) != 0) {
        if (errno == ENOENT) return false;
        give_up("looking at", name);
    }
    if ((status.stx_mask & STATX_BTIME) == 0) {
        errno = ENOTSUP;
        give_up("asking when it was made of", name);
    }
    looked.key = std::to_string(status.stx_ino) + "-" + std::to_string(status.stx_btime.tv_sec) + "." +
                 std::to_string(status.stx_btime.tv_nsec);
    looked.mode = status.stx_mode;
    looked.user = status.stx_uid;
    looked.group = status.stx_gid;
    looked.modified = {.tv_sec = status.stx_mtime.tv_sec, .tv_nsec = status.stx_mtime.tv_nsec};
    return true;
}

void write_whole(int to, const char* data, std::size_t size, const std::string& path) {
    while (size > 0) {
        const ssize_t written = ::write(to, data, size);
        if (written < 0) give_up("writing", path);
        data += written;
        size -= static_cast<std::size_t>(written);
    }
}

// A note appears at once, or not at all.
class Note {
  public:
    explicit Note(const std::string& name)
        : path_(setting("HOLDFAST_POWER_NOTES") + "/" + name),
          temporary_(path_ + ".new-" + std::to_string(::gettid())),
          to_(::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600)) {
        if (to_ < 0) give_up("making", temporary_);
    }
    void add(const char* data, std::size_t size) const { write_whole(to_, data, size, temporary_); }
    void add(const std::string& field) const { add(field.c_str(), field.size() + 1); }
    void keep(const Looked& looked) const {
        const timespec times[2] = {looked.modified, looked.modified};
        if (::futimens(to_, times) != 0) give_up("setting the time of", path_);
        if (::geteuid() == 0 && ::fchown(to_, looked.user, looked.group) != 0) give_up("giving", path_);
        ::close(to_);
        if (::rename(temporary_.c_str(), path_.c_str()) != 0) give_up("keeping", path_);
    }

  private:
    std::string path_, temporary_;
    int to_;
};

void note_content(int file, const Looked& looked) {
    const std::string path = "/proc/self/fd/" + std::to_string(file);
    const int from = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (from < 0) give_up("reading", path);
    const Note note("c-" + looked.key);
    std::string buffer(1 << 20, '\0');
    off_t at = 0;
    for (ssize_t got = 0; (got = ::pread(from, buffer.data(), buffer.size(), at)) > 0; at += got)
        note.add(buffer.data(), static_cast<std::size_t>(got));
    ::close(from);
    note.keep(looked);
}

// Fields that end with a zero byte: kind, key, mode, name, where a link leads, seconds and nanoseconds.
void note_names(int directory, const Looked& looked) {
    const std::string path = "/proc/self/fd/" + std::to_string(directory);
    DIR* list = ::opendir(path.c_str());
    if (list == nullptr) give_up("listing", path);
    const Note note("n-" + looked.key);
    while (const dirent* entry = ::readdir(list)) {
        const std::string name = entry->d_name;
        Looked each;
        if (name == "." || name == ".." || !look(::dirfd(list), name.c_str(), each)) continue;
        const bool link = S_ISLNK(each.mode);
        std::string target(link ? 4096 : 0, '\0');
        if (link) {
            const ssize_t size = ::readlinkat(::dirfd(list), name.c_str(), target.data(), target.size());
            if (size < 0) continue;
            target.resize(static_cast<std::size_t>(size));
        }
        note.add(link ? "l" : S_ISDIR(each.mode) ? "d" : S_ISREG(each.mode) ? "f" : "o");
        note.add(each.key);
        note.add(std::to_string(each.mode & 07777));
        note.add(name);
        note.add(target);
        note.add(std::to_string(each.modified.tv_sec));
        note.add(std::to_string(each.modified.tv_nsec));
    }
    ::closedir(list);
    note.keep(looked);
}

bool is_watched(int file) {
    const std::string root = setting("HOLDFAST_POWER_ROOT");
    if (root.empty()) return false;
    std::string path(4096, '\0');
    const ssize_t size =
        ::readlink(("/proc/self/fd/" + std::to_string(file)).c_str(), path.data(), path.size());
    path.resize(size < 0 ? 0 : static_cast<std::size_t>(size));
    return path == root || path.starts_with(root + "/");
}

void note(int file) {
    Looked looked;
    if (!is_watched(file) || !look(file, "", looked)) return;
    if (S_ISREG(looked.mode)) note_content(file, looked);
    if (S_ISDIR(looked.mode)) note_names(file, looked);
}

void note_tree(const std::string& path) {
    const int file = ::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (file < 0) return; // gone meanwhile, or a link
    note(file);
    if (DIR* list = ::fdopendir(file)) {
        while (const dirent* entry = ::readdir(list)) {
            const std::string name = entry->d_name;
            if (name != "." && name != "..") note_tree(path + "/" + name);
        }
        ::closedir(list);
    } else {
        ::close(file);
    }
}

// Each sync that is asked for leaves a byte; the one of the number that the power lasts for does not return.
void count_sync() {
    const std::string path = setting("HOLDFAST_POWER_NOTES") + "/syncs";
    const int file = ::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (file < 0) give_up("counting in", path);
    write_whole(file, "x", 1, path);
    struct stat status{};
    if (::fstat(file, &status) != 0) give_up("counting in", path);
    ::close(file);
    const std::string last = setting("HOLDFAST_POWER_LASTS");
    if (!last.empty() && status.st_size >= std::stol(last)) ::kill(::getpid(), SIGKILL);
}

template <typename Function>
Function* real(const char* name) {
    return reinterpret_cast<Function*>(::dlsym(RTLD_NEXT, name));
}

} // namespace

// What a program calls is noted when it has been done.
extern "C" {

int fsync(int file) {
    if (is_watched(file)) count_sync();
    const int result = real<int(int)>("fsync")(file);
    if (result == 0) note(file);
    return result;
}

int fdatasync(int file) {
    if (is_watched(file)) count_sync();
    const int result = real<int(int)>("fdatasync")(file);
    if (result == 0) note(file);
    return result;
}

int syncfs(int file) noexcept {
    const int result = real<int(int)>("syncfs")(file);
    const std::string root = setting("HOLDFAST_POWER_ROOT");
    if (result == 0 && !root.empty()) note_tree(root);
    return result;
}
}
