// The program of a PostgreSQL server on this machine, and a process of it.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <sys/types.h>

namespace holdfast::postgres {

// The path of `postgres` of a major version: in `directory` when that is named, else in a directory of PATH,
// else where distributions put it (/usr/lib/postgresql/<major>/bin, /usr/pgsql-<major>/bin). Throws
// Error(not_found), or Error(usage) when the one named is of another version.
std::string find_server_program(int major_version, const std::string& directory);

// That of the newest version that can be protected; nothing when there is none.
std::optional<std::string> newest_server_program();

// A program that runs as the owner of a directory when this is root, and as this process's user otherwise.
struct OwnerLaunch {
    std::vector<std::string> words; // its path and its arguments
    std::string directory;          // whose owner it runs as, and in which it begins
    std::string log_file;           // what it says is appended there
    unsigned processors = 0;        // how many it may use, of those that this process may; 0: all
    int niceness = 0;               // added to that of this process
    // It is told to end at once (SIGQUIT) when the thread that starts it does.
    bool ends_with_thread = false;
};
// Starts it in a session of its own, and returns its process, a child of this one. Its limits hold for all
// its processes. Throws Error(usage) when the owner is root, as whom no PostgreSQL runs.
pid_t launch_as_owner(const OwnerLaunch& launch);

struct ServerLaunch {
    std::string program;
    std::string data_directory;
    std::vector<std::pair<std::string, std::string>> settings; // on the command line: they win over all files
    std::string log_file;                                      // appended to
    unsigned processors = 0; // how many it may use, of those that this process may; 0: all
    int niceness = 0;        // added to that of this process
};

// Starts a server that outlives this program, as launch_as_owner() does.
pid_t launch_server(const ServerLaunch& launch);

// Whether the child has ended; its status as waitpid(2) gives it.
std::optional<int> ended(pid_t process);

} // namespace holdfast::postgres
