// Runs a command and writes what it took, as one JSON object, to a file.
//
//   measure RESULT COMMAND [ARGUMENT]...
//   measure --each LIST RESULT COMMAND [ARGUMENT]...
//   measure --leave RESULT COMMAND [ARGUMENT]...
//
// With --each the command runs once for each line of the file LIST, one after the other, with every "{}" in
// its arguments replaced by that line, until one fails; each run's milliseconds are written too.
//
// A small program of its own, because Linux counts the peak memory of whoever starts a command as the
// command's: it would never be below that of the script. What the command leaves running in the background is
// waited for, and counts as CPU time but not as wall time. Ends with the command's exit code, or 128 and the
// signal that ended it.
#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <optional>
#include <string>
#include <vector>

#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

namespace {

using Clock = std::chrono::steady_clock;

double seconds(const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
}

double since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

// What all processes took that were waited for.
struct Usage {
    double cpu_seconds = 0;
    long peak_kilobytes = 0; // the kernel's, of 1024 bytes

    void add(const rusage& usage) {
        cpu_seconds += seconds(usage.ru_utime) + seconds(usage.ru_stime);
        peak_kilobytes = std::max(peak_kilobytes, usage.ru_maxrss);
    }
};

// Its exit code; nothing when it could not be started or waited for.
std::optional<int> run(std::vector<std::string> command, Usage& usage) {
    std::vector<char*> arguments;
    for (std::string& argument : command) arguments.push_back(argument.data());
    arguments.push_back(nullptr);
    const pid_t child = ::fork();
    if (child == 0) {
        ::execvp(arguments[0], arguments.data());
        std::fprintf(stderr, "measure: %s: %s\n", arguments[0], std::strerror(errno));
        ::_exit(127);
    }
    if (child < 0) return std::nullopt;
    // Others may end first: what an earlier run left in the background.
    while (true) {
        int status = 0;
        rusage spent{};
        const pid_t ended = ::wait4(-1, &status, 0, &spent);
        if (ended < 0) return std::nullopt;
        usage.add(spent);
        if (ended == child) return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    }
}

std::string replaced(std::string text, const std::string& value) {
    for (std::size_t at = 0; (at = text.find("{}", at)) != std::string::npos; at += value.size())
        text.replace(at, 2, value);
    return text;
}

} // namespace

int main(int count, char** values) {
    std::vector<std::string> arguments(values + 1, values + count);
    std::vector<std::string> lines{""};
    const bool each = arguments.size() > 2 && arguments[0] == "--each";
    if (each) {
        std::ifstream list(arguments[1]);
        lines.clear();
        for (std::string line; std::getline(list, line);) lines.push_back(line);
        arguments.erase(arguments.begin(), arguments.begin() + 2);
    }
    const bool leave = !arguments.empty() && arguments[0] == "--leave";
    if (leave) arguments.erase(arguments.begin());
    if (arguments.size() < 2) {
        std::fputs("usage: measure [--each LIST | --leave] RESULT COMMAND [ARGUMENT]...\n", stderr);
        return 2;
    }
    if (!leave) ::prctl(PR_SET_CHILD_SUBREAPER, 1);
    const std::vector<std::string> command(arguments.begin() + 1, arguments.end());
    Usage usage;
    std::optional<int> code = 0;
    std::string runs;
    const auto start = Clock::now();
    for (const std::string& line : lines) {
        std::vector<std::string> words = command;
        if (each) {
            for (std::string& word : words) word = replaced(word, line);
        }
        const auto run_start = Clock::now();
        code = run(words, usage);
        runs += (runs.empty() ? "" : ",") + std::to_string(since(run_start) * 1000);
        if (code != 0) break;
    }
    const double wall = since(start);
    rusage spent{};
    while (!leave && ::wait4(-1, nullptr, 0, &spent) > 0) usage.add(spent);
    if (!code) {
        std::perror("measure");
        return 1;
    }
    std::FILE* result = std::fopen(arguments[0].c_str(), "we");
    if (result == nullptr) {
        std::perror(arguments[0].c_str());
        return 1;
    }
    std::fprintf(result,
                 "{\"wall_seconds\":%.4f,\"cpu_seconds\":%.4f,\"peak_kilobytes\":%ld,\"settled_seconds\":%."
                 "4f,\"run_milliseconds\":[%s]}\n",
                 wall, usage.cpu_seconds, usage.peak_kilobytes, since(start), runs.c_str());
    if (std::fclose(result) != 0) {
        std::perror(arguments[0].c_str());
        return 1;
    }
    return *code;
}
