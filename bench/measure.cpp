// Runs a command and writes what it took, as one JSON object, to a file.
//
//   measure RESULT COMMAND [ARGUMENT]...
//
// A small program of its own, because Linux counts the peak memory of whoever starts a command as the
// command's: it would never be below that of the script. Ends with the command's exit code, or 128 and the
// signal that ended it.
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstring>

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

namespace {

double seconds(const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
}

} // namespace

int main(int count, char** arguments) {
    if (count < 3) {
        std::fputs("usage: measure RESULT COMMAND [ARGUMENT]...\n", stderr);
        return 2;
    }
    const auto start = std::chrono::steady_clock::now();
    const pid_t child = ::fork();
    if (child == 0) {
        ::execvp(arguments[2], arguments + 2);
        std::fprintf(stderr, "measure: %s: %s\n", arguments[2], std::strerror(errno));
        ::_exit(127);
    }
    int status = 0;
    rusage usage{};
    if (child < 0 || ::wait4(child, &status, 0, &usage) != child) {
        std::perror("measure");
        return 1;
    }
    const double wall = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    std::FILE* result = std::fopen(arguments[1], "we");
    if (result == nullptr) {
        std::perror(arguments[1]);
        return 1;
    }
    // Of the command and of all its children that it waited for; kilobytes are the kernel's, of 1024 bytes.
    std::fprintf(result, "{\"wall_seconds\":%.4f,\"cpu_seconds\":%.4f,\"peak_kilobytes\":%ld}\n", wall,
                 seconds(usage.ru_utime) + seconds(usage.ru_stime), usage.ru_maxrss);
    if (std::fclose(result) != 0) {
        std::perror(arguments[1]);
        return 1;
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
