#include "execution/program.h"

#include "base/error.h"
#include "base/file_descriptor.h"

#include <array>
#include <cerrno>
#include <csignal>
#include <optional>

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/close_range.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

namespace holdfast {

namespace {

constexpr int look_again_milliseconds = 100;
constexpr Duration most_drain = std::chrono::seconds(1);
constexpr std::size_t most_line_bytes = 64u << 10;

struct Pipe {
    FileDescriptor read, write;
};

Pipe make_pipe() {
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0) throw system_error(errno, "making a pipe");
    return {FileDescriptor(ends[0]), FileDescriptor(ends[1])};
}

// In the child, between fork and exec: nothing here may allocate or take a lock.
[[noreturn]] void become(char* const* arguments, int output, int errors, int failed, pid_t parent, int nice) {
    ::setpgid(0, 0);
    // Whoever may not be less urgent than it is goes on as it is.
    if (nice != 0) ::setpriority(PRIO_PROCESS, 0, ::getpriority(PRIO_PROCESS, 0) + nice);
    // A parent that ended before this line sends nothing any more.
    ::prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (::getppid() != parent) ::_exit(127);
    for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGPIPE, SIGCHLD}) ::signal(signal, SIG_DFL);
    sigset_t none;
    ::sigemptyset(&none);
    ::sigprocmask(SIG_SETMASK, &none, nullptr);
    // Sockets of a server that were opened without it: held here, they would keep its port, and its clients,
    // beyond its end.
    ::close_range(STDERR_FILENO + 1, ~0U, CLOSE_RANGE_CLOEXEC);
    const int nothing = ::open("/dev/null", O_RDONLY);
    if (nothing >= 0 && ::dup2(nothing, STDIN_FILENO) >= 0 && ::dup2(output, STDOUT_FILENO) >= 0 &&
        ::dup2(errors, STDERR_FILENO) >= 0)
        ::execv(arguments[0], arguments);
    const int why = errno;
    // Whoever reads this is told by what it says; should it be gone, by the exit code.
    if (::write(failed, &why, sizeof why) != sizeof why) ::_exit(126);
    ::_exit(127);
}

class Child {
  public:
    explicit Child(const ProgramCall& call) : call_(call) {
        std::vector<std::string> words{call.program};
        words.insert(words.end(), call.arguments.begin(), call.arguments.end());
        std::vector<char*> pointers;
        for (std::string& word : words) pointers.push_back(word.data());
        pointers.push_back(nullptr);
        Pipe output = make_pipe(), errors = make_pipe(), failed = make_pipe();
        const pid_t parent = ::getpid();
        process_ = ::fork();
        if (process_ < 0) throw system_error(errno, "starting a process");
        if (process_ == 0)
            become(pointers.data(), output.write.get(), errors.write.get(), failed.write.get(), parent,
                   call.nice);
        output.write = {};
        errors.write = {};
        failed.write = {};
        int why = 0;
        if (::read(failed.read.get(), &why, sizeof why) == sizeof why) {
            ::waitpid(process_, nullptr, 0);
            throw system_error(why, fmt::format("starting {}", call.program));
        }
        output_ = std::move(output.read);
        errors_ = std::move(errors.read);
    }
    Child(const Child&) = delete;
    Child& operator=(const Child&) = delete;

    ~Child() {
        if (ended_) return;
        ::kill(-process_, SIGKILL);
        ::waitpid(process_, nullptr, 0);
    }

    ProgramEnd run(const std::function<void(std::string_view)>& on_line, const std::stop_token& stop) {
        ProgramEnd end;
        std::optional<Duration> asked, ended_at;
        while (output_ || errors_ || !has_ended()) {
            if (stop.stop_requested()) ask_to_stop(asked);
            std::array<pollfd, 2> files{{{output_.get(), POLLIN, 0}, {errors_.get(), POLLIN, 0}}};
            const int ready = ::poll(files.data(), files.size(), look_again_milliseconds);
            // What it started may hold its pipes open longer than it lives, and go on writing.
            if (has_ended() && !ended_at) ended_at = system_clock().steady();
            if (has_ended() && (ready == 0 || system_clock().steady() - *ended_at > most_drain)) break;
            if (ready <= 0) continue;
            if (files[0].revents != 0) take_output(end);
            if (files[1].revents != 0) take_lines(on_line);
        }
        if (!line_.empty()) on_line(line_);
        end.signalled = WIFSIGNALED(status_);
        end.exit_code = end.signalled ? 128 + WTERMSIG(status_) : WEXITSTATUS(status_);
        return end;
    }

  private:
    bool has_ended() {
        if (!ended_) ended_ = ::waitpid(process_, &status_, WNOHANG) == process_;
        return ended_;
    }

    void ask_to_stop(std::optional<Duration>& asked) {
        const Duration now = system_clock().steady();
        if (!asked) {
            asked = now;
            ::kill(process_, call_.stop_signal ? call_.stop_signal() : SIGINT);
        } else if (now - *asked > call_.grace && !has_ended()) {
            ::kill(-process_, SIGKILL);
        }
    }

    // Nothing at the end of the file.
    static std::string_view read_some(FileDescriptor& file, std::array<char, 16384>& buffer) {
        const ssize_t got = ::read(file.get(), buffer.data(), buffer.size());
        if (got > 0) return {buffer.data(), static_cast<std::size_t>(got)};
        if (got == 0 || errno != EINTR) file = {};
        return {};
    }

    void take_output(ProgramEnd& end) {
        std::array<char, 16384> buffer;
        std::string_view text = read_some(output_, buffer);
        const std::size_t room = call_.most_output_bytes - end.output.size();
        if (text.size() > room) {
            end.output_cut = true;
            text = text.substr(0, room);
        }
        end.output += text;
    }

    void take_lines(const std::function<void(std::string_view)>& on_line) {
        std::array<char, 16384> buffer;
        for (const char c : read_some(errors_, buffer)) {
            if (c == '\n') {
                on_line(line_);
                line_.clear();
            } else if (line_.size() < most_line_bytes) {
                line_ += c;
            }
        }
    }

    const ProgramCall& call_;
    pid_t process_ = -1;
    FileDescriptor output_, errors_;
    std::string line_;
    int status_ = 0;
    bool ended_ = false;
};

} // namespace

ProgramEnd run_program(const ProgramCall& call, const std::function<void(std::string_view line)>& on_line,
                       const std::stop_token& stop) {
    return Child(call).run(on_line, stop);
}

} // namespace holdfast
