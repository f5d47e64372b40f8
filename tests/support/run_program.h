// Running a program as a user would, and seeing what it says.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include <sys/types.h>

namespace holdfast::test {

struct ProgramRun {
    int exit_code = -1; // 128 + signal when it was killed
    std::string out;
    std::string error;
};

struct RunOptions {
    // Beside PATH these alone are its environment.
    std::map<std::string, std::string> environment;
    std::string directory = "/";
    // The user and group number it runs as; nothing: ours.
    std::optional<uid_t> user{};
};

// Runs `command` (a path and arguments) with an empty standard input and waits for it.
ProgramRun run_program(const std::vector<std::string>& command, const RunOptions& options);

// A program under way; killed when it is destroyed.
class RunningProgram {
  public:
    RunningProgram(const std::vector<std::string>& command, const RunOptions& options);
    ~RunningProgram();
    RunningProgram(const RunningProgram&) = delete;
    RunningProgram& operator=(const RunningProgram&) = delete;

    pid_t process() const { return process_; }
    void signal(int number) const;
    bool ended();
    // Whether it has this file open now.
    bool has_open(const std::string& path) const;
    // What it has written up to now.
    std::string out_so_far() const;
    std::string error_so_far() const;
    // Waits for the end.
    ProgramRun finish();

  private:
    pid_t process_ = -1;
    std::optional<int> status_;
    int out_ = -1, error_ = -1; // unlinked files
};

} // namespace holdfast::test
