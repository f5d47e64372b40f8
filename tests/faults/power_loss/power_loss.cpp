#include "faults/power_loss/power_loss.h"

#include "support/run_program.h"

#include <filesystem>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <vector>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

namespace holdfast::test {

namespace {

namespace fs = std::filesystem;

// As the recorder has it.
std::string key_of(const std::string& path) {
    struct statx status{};
    if (::statx(AT_FDCWD, path.c_str(), AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS | STATX_BTIME, &status) != 0)
        throw std::runtime_error("cannot look at " + path);
    if ((status.stx_mask & STATX_BTIME) == 0)
        throw std::runtime_error("the file system does not say when " + path + " was made");
    return fmt::format("{}-{}.{}", status.stx_ino, status.stx_btime.tv_sec, status.stx_btime.tv_nsec);
}

std::vector<std::string> fields_of(const std::string& path) {
    std::stringstream text;
    text << std::ifstream(path, std::ios::binary).rdbuf();
    std::vector<std::string> fields;
    for (std::string field; std::getline(text, field, '\0');) fields.push_back(field);
    return fields;
}

void set_time(const std::string& path, timespec modified) {
    const timespec times[2] = {modified, modified};
    if (::utimensat(AT_FDCWD, path.c_str(), times, AT_SYMLINK_NOFOLLOW) != 0)
        throw std::runtime_error("cannot set the time of " + path);
}

// Those that `of` has, if it is there.
void copy_time_and_owner(const std::string& of, const std::string& to) {
    struct stat status{};
    if (::lstat(of.c_str(), &status) != 0) return;
    set_time(to, status.st_mtim);
    if (::geteuid() == 0 && ::lchown(to.c_str(), status.st_uid, status.st_gid) != 0)
        throw std::runtime_error("cannot give " + to);
}

void set_mode(const std::string& path, unsigned mode) { fs::permissions(path, fs::perms(mode)); }

} // namespace

PowerLoss::PowerLoss(std::string root, std::string notes) : root_(std::move(root)), notes_(std::move(notes)) {
    sync_all();
}

std::map<std::string, std::string> PowerLoss::environment() const {
    return {{"LD_PRELOAD", HOLDFAST_POWER_RECORDER},
            {"HOLDFAST_POWER_ROOT", root_},
            {"HOLDFAST_POWER_NOTES", notes_}};
}

std::uintmax_t PowerLoss::syncs() const {
    const std::string counted = notes_ + "/syncs";
    return fs::exists(counted) ? fs::file_size(counted) : 0;
}

void PowerLoss::sync_all() const {
    fs::remove_all(notes_);
    fs::create_directory(notes_);
    const ProgramRun run = run_program({"/usr/bin/sync", "-f", root_}, {.environment = environment()});
    if (run.exit_code != 0 || fs::is_empty(notes_))
        throw std::runtime_error("nothing was recorded of what is synced: " + run.error);
}

void PowerLoss::fail(Survives what) {
    const std::string lost = fmt::format("{}.lost-{}", root_, ++failures_);
    const std::string key = key_of(root_);
    const auto mode = fs::status(root_).permissions();
    fs::rename(root_, lost);
    fs::create_directory(root_);
    fs::permissions(root_, mode);
    if (what == Survives::synced_only)
        bring_back_names(key, root_);
    else
        bring_back_contents(lost, root_);
    sync_all();
}

void PowerLoss::bring_back_names(const std::string& key, const std::string& to) const {
    const std::vector<std::string> fields = fields_of(notes_ + "/n-" + key);
    for (std::size_t i = 0; i + 6 < fields.size(); i += 7) {
        const std::string path = to + "/" + fields[i + 3];
        const auto mode = static_cast<unsigned>(std::stoul(fields[i + 2]));
        if (fields[i] == "l") {
            fs::create_symlink(fields[i + 4], path);
            set_time(path, {.tv_sec = std::stol(fields[i + 5]), .tv_nsec = std::stol(fields[i + 6])});
        } else if (fields[i] == "d") {
            fs::create_directory(path);
            bring_back_names(fields[i + 1], path);
            copy_time_and_owner(notes_ + "/n-" + fields[i + 1], path);
            set_mode(path, mode);
        } else if (fields[i] == "f") {
            bring_back_file(fields[i + 1], path, mode);
        }
    }
}

void PowerLoss::bring_back_contents(const std::string& from, const std::string& to) const {
    for (const fs::directory_entry& entry : fs::directory_iterator(from)) {
        const std::string path = to + "/" + entry.path().filename().string();
        const auto mode = static_cast<unsigned>(entry.symlink_status().permissions());
        if (entry.is_symlink()) {
            fs::create_symlink(fs::read_symlink(entry.path()), path);
            copy_time_and_owner(entry.path(), path);
        } else if (entry.is_directory()) {
            fs::create_directory(path);
            bring_back_contents(entry.path(), path);
            copy_time_and_owner(notes_ + "/n-" + key_of(entry.path()), path);
            set_mode(path, mode);
        } else if (entry.is_regular_file()) {
            bring_back_file(key_of(entry.path()), path, mode);
        }
    }
}

void PowerLoss::bring_back_file(const std::string& key, const std::string& to, unsigned mode) const {
    const std::string content = notes_ + "/c-" + key;
    if (fs::exists(content))
        fs::copy_file(content, to);
    else
        std::ofstream(to).flush();
    copy_time_and_owner(content, to);
    set_mode(to, mode);
}

} // namespace holdfast::test
