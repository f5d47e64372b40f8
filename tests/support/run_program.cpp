#include "support/run_program.h"

#include "base/error.h"
#include "base/file_descriptor.h"

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <filesystem>

#include <fcntl.h>
#include <grp.h>
#include <sys/wait.h>
#include <unistd.h>

namespace holdfast::test {

namespace {

int unlinked_file() {
    const int file = ::open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (file < 0) throw system_error(errno, "a file for the output of a program");
    return file;
}

std::string content_of(int file) {
    std::string text;
    Bytes buffer(1u << 20);
    for (std::size_t got = buffer.size(); got == buffer.size();) {
        got = read_at(file, text.size(), buffer, "output");
        text += as_text(ByteView(buffer).first(got));
    }
    return text;
}

std::string content_and_close(int& file) {
    std::string text = content_of(file);
    ::close(file);
    file = -1;
    return text;
}

std::vector<char*> pointers(std::vector<std::string>& texts) {
    std::vector<char*> result;
    for (std::string& text : texts) result.push_back(text.data());
    result.push_back(nullptr);
    return result;
}

} // namespace

RunningProgram::RunningProgram(const std::vector<std::string>& command, const RunOptions& options)
    : out_(unlinked_file()), error_(unlinked_file()) {
    // All that takes memory is made before the fork: other threads may hold the allocator's lock.
    std::vector<std::string> arguments = command;
    const char* path = std::getenv("PATH");
    std::vector<std::string> environment{std::string("PATH=") + (path != nullptr ? path : "/usr/bin:/bin")};
    for (const auto& [name, value] : options.environment) environment.push_back(name + "=" + value);
    const std::vector<char*> argument_pointers = pointers(arguments);
    const std::vector<char*> environment_pointers = pointers(environment);
    process_ = ::fork();
    if (process_ < 0) throw system_error(errno, "fork");
    if (process_ > 0) return;
    const int nothing = ::open("/dev/null", O_RDONLY);
    ::dup2(nothing, STDIN_FILENO);
    ::dup2(out_, STDOUT_FILENO);
    ::dup2(error_, STDERR_FILENO);
    if (::chdir(options.directory.c_str()) != 0) ::_exit(125);
    if (options.user &&
        (::setgroups(0, nullptr) != 0 || ::setgid(*options.user) != 0 || ::setuid(*options.user) != 0)) {
        ::_exit(126);
    }
    ::execve(argument_pointers[0], argument_pointers.data(), environment_pointers.data());
    ::_exit(127);
}

std::string RunningProgram::out_so_far() const { return content_of(out_); }
std::string RunningProgram::error_so_far() const { return content_of(error_); }

RunningProgram::~RunningProgram() {
    if (!status_) {
        signal(SIGKILL);
        int status = 0;
        ::waitpid(process_, &status, 0);
    }
    if (out_ >= 0) ::close(out_);
    if (error_ >= 0) ::close(error_);
}

void RunningProgram::signal(int number) const {
    if (!status_) ::kill(process_, number);
}

bool RunningProgram::ended() {
    int status = 0;
    if (!status_ && ::waitpid(process_, &status, WNOHANG) == process_) status_ = status;
    return status_.has_value();
}

bool RunningProgram::has_open(const std::string& path) const {
    std::error_code ignored;
    const std::filesystem::path descriptors = "/proc/" + std::to_string(process_) + "/fd";
    for (std::filesystem::directory_iterator at(descriptors, ignored), end; at != end;
         at.increment(ignored)) {
        if (std::filesystem::read_symlink(at->path(), ignored) == path) return true;
    }
    return false;
}

ProgramRun RunningProgram::finish() {
    if (!status_) {
        int status = 0;
        if (::waitpid(process_, &status, 0) != process_) throw system_error(errno, "waitpid");
        status_ = status;
    }
    ProgramRun run;
    run.exit_code = WIFEXITED(*status_) ? WEXITSTATUS(*status_) : 128 + WTERMSIG(*status_);
    run.out = content_and_close(out_);
    run.error = content_and_close(error_);
    return run;
}

ProgramRun run_program(const std::vector<std::string>& command, const RunOptions& options) {
    return RunningProgram(command, options).finish();
}

} // namespace holdfast::test
