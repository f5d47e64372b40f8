#include "postgres/recovery/server_program.h"

#include "base/error.h"
#include "base/file_descriptor.h"
#include "postgres/recovery/access_file.h"
#include "postgres/server/cluster_facts.h"

#include <array>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstdlib>

#include <fcntl.h>
#include <fmt/format.h>
#include <grp.h>
#include <pwd.h>
#include <sched.h>
#include <spawn.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

namespace holdfast::postgres {

namespace {

// What a program says with --version; empty when it cannot be run.
std::string version_text(const std::string& program) {
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0) throw system_error(errno, "making a pipe");
    const FileDescriptor reading(ends[0]);
    FileDescriptor writing(ends[1]);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, writing.get(), STDOUT_FILENO);
    posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_RDWR, 0);
    std::string name = program, option = "--version";
    const std::array<char*, 3> arguments{name.data(), option.data(), nullptr};
    pid_t process = 0;
    const int failed = ::posix_spawn(&process, program.c_str(), &actions, nullptr, arguments.data(), environ);
    posix_spawn_file_actions_destroy(&actions);
    writing = FileDescriptor();
    if (failed != 0) return {};
    std::string text;
    std::array<char, 256> buffer{};
    for (ssize_t got = 0;
         (got = ::read(reading.get(), buffer.data(), buffer.size())) > 0 && text.size() < 4096;)
        text.append(buffer.data(), static_cast<std::size_t>(got));
    ::waitpid(process, nullptr, 0);
    return text;
}

// Of "postgres (PostgreSQL) 15.14 (Debian …)"; 0 when it says something else.
int major_version_of(const std::string& program) {
    if (::access(program.c_str(), X_OK) != 0) return 0;
    const std::string text = version_text(program);
    const std::string_view mark = "(PostgreSQL) ";
    const std::size_t at = text.find(mark);
    int version = 0;
    if (at != std::string::npos)
        std::from_chars(text.data() + at + mark.size(), text.data() + text.size(), version);
    return version;
}

std::vector<std::string> likely_directories(int major_version) {
    std::vector<std::string> all;
    const char* path = std::getenv("PATH"); // NOLINT(concurrency-mt-unsafe): nothing here sets it
    std::string_view rest = path == nullptr ? "" : path;
    while (!rest.empty()) {
        const std::size_t end = std::min(rest.find(':'), rest.size());
        if (end > 0) all.emplace_back(rest.substr(0, end));
        rest.remove_prefix(std::min(end + 1, rest.size()));
    }
    all.push_back(fmt::format("/usr/lib/postgresql/{}/bin", major_version));
    all.push_back(fmt::format("/usr/pgsql-{}/bin", major_version));
    return all;
}

struct Owner {
    uid_t user = 0;
    gid_t group = 0;
    std::vector<gid_t> groups;
    std::string name, home;
};

Owner owner_of(const std::string& directory) {
    struct stat status{};
    if (::stat(directory.c_str(), &status) != 0) throw system_error(errno, directory);
    Owner owner{status.st_uid, status.st_gid, {}, {}, "/"};
    passwd entry{};
    passwd* found = nullptr;
    std::array<char, 16384> buffer{};
    if (::getpwuid_r(owner.user, &entry, buffer.data(), buffer.size(), &found) == 0 && found != nullptr) {
        owner.group = entry.pw_gid;
        owner.name = entry.pw_name;
        owner.home = entry.pw_dir;
        int count = 256;
        owner.groups.resize(static_cast<std::size_t>(count));
        if (::getgrouplist(entry.pw_name, entry.pw_gid, owner.groups.data(), &count) < 0) count = 0;
        owner.groups.resize(static_cast<std::size_t>(count));
    }
    if (owner.groups.empty()) owner.groups.push_back(owner.group);
    return owner;
}

// What programs need to run at all, with the home of the owner: a server runs for long, and hands its
// environment on to all that it runs.
std::vector<std::string> environment_for(const Owner& owner, bool other_user) {
    std::vector<std::string> environment;
    for (std::string& variable : process_variables()) {
        const std::string_view name = std::string_view(variable).substr(0, variable.find('='));
        const bool ours = name == "HOME" || name == "USER" || name == "LOGNAME";
        if (is_server_variable(name) && !(other_user && ours)) environment.push_back(std::move(variable));
    }
    if (other_user) {
        environment.push_back("HOME=" + owner.home);
        environment.push_back("USER=" + owner.name);
        environment.push_back("LOGNAME=" + owner.name);
    }
    return environment;
}

std::vector<char*> pointers_to(std::vector<std::string>& words) {
    std::vector<char*> pointers;
    for (std::string& word : words) pointers.push_back(word.data());
    pointers.push_back(nullptr);
    return pointers;
}

// So many of those that this process may use.
cpu_set_t first_processors(unsigned count) {
    cpu_set_t all, some;
    CPU_ZERO(&all);
    CPU_ZERO(&some);
    if (count == 0 || ::sched_getaffinity(0, sizeof all, &all) != 0) return all;
    for (std::size_t i = 0; i < CPU_SETSIZE && count > 0; ++i) {
        if (!CPU_ISSET(i, &all)) continue;
        CPU_SET(i, &some);
        --count;
    }
    return some;
}

} // namespace

std::string find_server_program(int major_version, const std::string& directory) {
    if (!directory.empty()) {
        std::string program = directory + "/postgres";
        const int found = major_version_of(program);
        if (found == major_version) return program;
        throw Error(
            ErrorCode::usage,
            found == 0 ? fmt::format("{} cannot be run", program)
                       : fmt::format("{} is of version {}, the cluster of {}", program, found, major_version),
            "name the directory with the programs of the cluster's version");
    }
    for (const std::string& likely : likely_directories(major_version)) {
        std::string program = likely + "/postgres";
        if (major_version_of(program) == major_version) return program;
    }
    throw Error(ErrorCode::not_found,
                fmt::format("there is no PostgreSQL {} in PATH or where distributions put it", major_version),
                fmt::format("install it (Debian: postgresql-{}), or name its directory with --pg-bindir",
                            major_version));
}

std::optional<std::string> newest_server_program() {
    for (int version = newest_supported_major; version >= oldest_supported_major; --version) {
        try {
            return find_server_program(version, {});
        } catch (const Error& error) {
            if (error.code() != ErrorCode::not_found) throw;
        }
    }
    return std::nullopt;
}

pid_t launch_as_owner(const OwnerLaunch& launch) {
    const Owner owner = owner_of(launch.directory);
    const bool as_root = ::geteuid() == 0;
    if (as_root && owner.user == 0) {
        throw Error(ErrorCode::usage,
                    fmt::format("{} belongs to root, as whom no PostgreSQL runs", launch.directory),
                    "give it to another user, with all that is in it");
    }
    std::vector<std::string> words = launch.words;
    std::vector<std::string> variables = environment_for(owner, as_root);
    const std::vector<char*> arguments = pointers_to(words);
    const std::vector<char*> environment = pointers_to(variables);
    const FileDescriptor log = open_file(launch.log_file, O_WRONLY | O_CREAT | O_APPEND, 0600);
    const FileDescriptor nothing = open_file("/dev/null", O_RDONLY);
    const FileDescriptor directory = open_file(launch.directory, O_RDONLY | O_DIRECTORY);
    if (as_root && ::fchown(log.get(), owner.user, owner.group) != 0)
        throw system_error(errno, launch.log_file);
    errno = 0;
    const int niceness = ::getpriority(PRIO_PROCESS, 0) + launch.niceness;
    const cpu_set_t processors = first_processors(launch.processors);
    const pid_t parent = ::getpid();
    const pid_t process = ::fork();
    if (process < 0) throw system_error(errno, "starting a process");
    if (process > 0) return process;
    // Between fork and exec only what is safe in a copy of a process with threads.
    constexpr int cannot_run = 126;
    ::setsid();
    if (as_root && (::setgroups(owner.groups.size(), owner.groups.data()) != 0 ||
                    ::setgid(owner.group) != 0 || ::setuid(owner.user) != 0))
        ::_exit(cannot_run);
    // Behind the change of the user, which would take it back. This program may have ended meanwhile.
    if (launch.ends_with_thread && (::prctl(PR_SET_PDEATHSIG, SIGQUIT) != 0 || ::getppid() != parent))
        ::_exit(cannot_run);
    if (::fchdir(directory.get()) != 0 || ::dup2(nothing.get(), STDIN_FILENO) < 0 ||
        ::dup2(log.get(), STDOUT_FILENO) < 0 || ::dup2(log.get(), STDERR_FILENO) < 0)
        ::_exit(cannot_run);
    if (launch.processors != 0) ::sched_setaffinity(0, sizeof processors, &processors);
    if (launch.niceness != 0) ::setpriority(PRIO_PROCESS, 0, niceness);
    ::umask(0077);
    ::execve(launch.words.front().c_str(), arguments.data(), environment.data());
    ::_exit(cannot_run);
}

pid_t launch_server(const ServerLaunch& launch) {
    OwnerLaunch owned{.words = {launch.program, "-D", launch.data_directory},
                      .directory = launch.data_directory,
                      .log_file = launch.log_file,
                      .processors = launch.processors,
                      .niceness = launch.niceness};
    for (const auto& [name, value] : launch.settings)
        owned.words.insert(owned.words.end(), {"-c", fmt::format("{}={}", name, value)});
    return launch_as_owner(owned);
}

std::optional<int> ended(pid_t process) {
    int status = 0;
    const pid_t found = ::waitpid(process, &status, WNOHANG);
    if (found == 0) return std::nullopt;
    return found == process ? status : -1;
}

} // namespace holdfast::postgres
