#include "postgres/recovery/restore_target.h"

#include "base/error.h"
#include "base/file_descriptor.h"
#include "documents/entry_name.h"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <filesystem>
#include <set>

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

namespace holdfast::postgres {

namespace {

namespace fs = std::filesystem;

constexpr std::size_t largest_pid_file_bytes = 65536;

bool exists(const std::string& path) {
    struct stat status{};
    return ::lstat(path.c_str(), &status) == 0;
}

bool is_empty_or_absent(const std::string& path) {
    std::error_code error;
    if (!fs::exists(path, error)) return true;
    const bool empty = fs::is_directory(path, error) && fs::is_empty(path, error);
    if (error) throw system_error(error.value(), fmt::format("looking into {}", path));
    return empty;
}

std::string first_line(const std::string& path) {
    try {
        const Bytes bytes = read_file(path, largest_pid_file_bytes);
        const std::string_view text = as_text(bytes);
        return std::string(text.substr(0, text.find('\n')));
    } catch (const Error&) {
        return {}; // gone again, or another user's
    }
}

std::optional<pid_t> to_process(const std::string& text) {
    pid_t process = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), process);
    if (error != std::errc() || end != text.data() + text.size() || process <= 0) return std::nullopt;
    return process;
}

// A server's processes all have its data directory as their working directory.
bool works_in(pid_t process, const struct stat& directory) {
    struct stat status{};
    return ::stat(fmt::format("/proc/{}/cwd", process).c_str(), &status) == 0 &&
           status.st_dev == directory.st_dev && status.st_ino == directory.st_ino;
}

// By the name of its program, which some start as "postmaster" and some through a loader, or by the title
// that a server gives to its processes.
bool is_server(pid_t process) {
    const std::string name = first_line(fmt::format("/proc/{}/comm", process));
    if (name.starts_with("postgres") || name == "postmaster") return true;
    const std::string line = first_line(fmt::format("/proc/{}/cmdline", process));
    if (line.starts_with("postgres: ")) return true;
    for (std::size_t begin = 0; begin < line.size();) {
        const std::size_t end = std::min(line.find('\0', begin), line.size());
        const std::string_view word = std::string_view(line).substr(begin, end - begin);
        if (word.ends_with("/postgres") || word.ends_with("/postmaster")) return true;
        begin = end + 1;
    }
    return false;
}

void check_same_cluster(const SnapshotCluster& cluster, const std::string& target) {
    const std::string path = fmt::format("{}/{}", target, control_file_path);
    if (!exists(path)) {
        // A restore that was broken off has none: it comes last.
        if (exists(target + "/PG_VERSION")) return;
        throw Error(ErrorCode::usage,
                    fmt::format("{} is not empty, and no PostgreSQL data directory", target),
                    "name another directory, or empty this one by yourself");
    }
    const ControlFile present = parse_control_file(read_file(path, 1u << 20));
    if (present.crc_right && present.system_identifier != cluster.control.system_identifier) {
        throw Error(ErrorCode::usage,
                    fmt::format("{} is another cluster: its system identifier is {}, the snapshot's {}",
                                target, present.system_identifier, cluster.control.system_identifier),
                    "name another directory, or empty this one by yourself");
    }
}

} // namespace

std::optional<pid_t> running_server(const std::string& data_directory) {
    struct stat directory{};
    if (::stat(data_directory.c_str(), &directory) != 0) return std::nullopt;
    if (const auto process = to_process(first_line(data_directory + "/postmaster.pid"))) {
        if (works_in(*process, directory)) return process;
        struct stat status{};
        const bool alive = ::kill(*process, 0) == 0 || errno == EPERM;
        const bool visible = ::stat(fmt::format("/proc/{}/cwd", *process).c_str(), &status) == 0;
        if (alive && !visible) return -1;
    }
    // Without its file, or with children alone that its first process left behind.
    std::error_code error;
    for (const fs::directory_entry& entry : fs::directory_iterator("/proc", error)) {
        const auto process = to_process(entry.path().filename().string());
        if (process && works_in(*process, directory) && is_server(*process)) return process;
    }
    return std::nullopt;
}

std::vector<std::string> tablespace_places(const SnapshotCluster& cluster,
                                           const std::vector<TablespacePlace>& wanted) {
    std::vector<std::string> places;
    for (const SnapshotTablespace& tablespace : cluster.tablespaces) places.push_back(tablespace.path);
    for (const TablespacePlace& place : wanted) {
        const auto found =
            std::ranges::find_if(cluster.tablespaces, [&](const SnapshotTablespace& tablespace) {
                return place.tablespace == fmt::to_string(tablespace.oid) ||
                       (!tablespace.name.empty() && place.tablespace == tablespace.name);
            });
        if (found == cluster.tablespaces.end()) {
            std::string known;
            for (const SnapshotTablespace& tablespace : cluster.tablespaces) {
                known += fmt::format("{}{}{}", known.empty() ? "" : ", ", tablespace.oid,
                                     tablespace.name.empty() ? "" : " (" + tablespace.name + ")");
            }
            throw Error(ErrorCode::usage,
                        fmt::format("the snapshot has no tablespace '{}'", printable(place.tablespace)),
                        known.empty() ? "it has none" : fmt::format("it has {}", known));
        }
        if (!place.path.starts_with('/')) {
            throw Error(ErrorCode::usage,
                        fmt::format("the place '{}' of a tablespace is not absolute", printable(place.path)));
        }
        places[static_cast<std::size_t>(found - cluster.tablespaces.begin())] = place.path;
    }
    std::set<std::string> different;
    for (std::string& place : places) {
        while (place.size() > 1 && place.ends_with('/')) place.pop_back();
        if (!different.insert(place).second) {
            throw Error(ErrorCode::usage,
                        fmt::format("two tablespaces are to be restored to {}", printable(place)));
        }
    }
    return places;
}

void require_place(const std::string& target, bool in_place, bool whole) {
    if (in_place || is_empty_or_absent(target)) return;
    throw Error(ErrorCode::usage, fmt::format("{} is not empty", target),
                whole ? "name an empty or new directory, or add --in-place to write only what differs"
                      : "name an empty or new directory, or empty this one by yourself");
}

void check_restore_target(const SnapshotCluster& cluster, const std::string& target,
                          const std::vector<std::string>& places, bool in_place, bool whole) {
    if (const auto process = running_server(target)) {
        throw Error(ErrorCode::usage,
                    *process > 0 ? fmt::format("a server runs in {} (process {})", target, *process)
                                 : fmt::format("a server seems to run in {}", target),
                    "stop it first, or restore to another directory");
    }
    require_place(target, in_place, whole);
    if (!is_empty_or_absent(target)) check_same_cluster(cluster, target);
    for (std::size_t i = 0; i < places.size(); ++i) {
        if (is_empty_or_absent(places[i])) continue;
        const std::string link = fmt::format("{}/pg_tblspc/{}", target, cluster.tablespaces[i].oid);
        std::error_code error;
        if (in_place && fs::equivalent(link, places[i], error) && !error) continue;
        throw Error(ErrorCode::usage,
                    fmt::format("the place {} of tablespace {} is not empty{}", places[i],
                                cluster.tablespaces[i].oid,
                                in_place ? fmt::format(", and {} does not lead to it", link) : ""),
                    fmt::format("name another place: --tablespace {}=PATH", cluster.tablespaces[i].oid));
    }
}

} // namespace holdfast::postgres
