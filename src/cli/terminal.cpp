#include "cli/terminal.h"

#include "base/error.h"
#include "base/file_descriptor.h"
#include "base/terminal_text.h"

#include <array>
#include <cerrno>
#include <optional>
#include <string>

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <termios.h>
#include <unistd.h>

namespace holdfast {

namespace {

// Turns the echo of a terminal off while it lives.
class NoEcho {
  public:
    explicit NoEcho(int fd) : fd_(fd) {
        if (::tcgetattr(fd, &before_) != 0) throw system_error(errno, "asking the terminal");
        termios silent = before_;
        silent.c_lflag &= ~static_cast<tcflag_t>(ECHO);
        ::tcsetattr(fd, TCSAFLUSH, &silent);
    }
    ~NoEcho() { ::tcsetattr(fd_, TCSAFLUSH, &before_); }
    NoEcho(const NoEcho&) = delete;
    NoEcho& operator=(const NoEcho&) = delete;

  private:
    int fd_;
    termios before_{};
};

constexpr std::size_t most_bytes = 1024;

// Waits until something was typed. Signals go to another thread, so no read would be interrupted by them.
void wait_for_input(int fd, int stopped_fd) {
    for (;;) {
        std::array<pollfd, 2> waiting{pollfd{fd, POLLIN, 0}, pollfd{stopped_fd, POLLIN, 0}};
        if (::poll(waiting.data(), waiting.size(), -1) < 0) {
            if (errno == EINTR) continue;
            throw system_error(errno, "waiting for the terminal");
        }
        if (waiting[1].revents != 0) throw Error(ErrorCode::cancelled, "stopped before anything was typed");
        if (waiting[0].revents != 0) return;
    }
}

enum class Echo { off, on };

Secret ask(int fd, const std::string& question, Echo echo, const std::stop_token& stop) {
    const FileDescriptor stopped(::eventfd(0, EFD_CLOEXEC));
    if (!stopped) throw system_error(errno, "asking the terminal");
    const std::stop_callback on_stop(stop, [&] { ::eventfd_write(stopped.get(), 1); });
    Secret typed(most_bytes);
    std::size_t size = 0;
    {
        // Before the question, so that nothing typed at once is shown.
        std::optional<NoEcho> silent;
        if (echo == Echo::off) silent.emplace(fd);
        write_all(fd, as_bytes(harmless(question)), "the terminal");
        for (;;) {
            Byte byte = 0;
            wait_for_input(fd, stopped.get());
            const ssize_t got = ::read(fd, &byte, 1);
            if (got < 0 && errno == EINTR) continue;
            if (got <= 0 || byte == '\n') break;
            if (size == most_bytes) throw Error(ErrorCode::usage, "what was typed is too long");
            typed.mutable_view()[size++] = byte;
        }
    }
    if (echo == Echo::off) write_all(fd, as_bytes("\n"), "the terminal");
    return Secret::copy_of(typed.view().first(size));
}

FileDescriptor open_terminal(const char* what, const char* hint) {
    FileDescriptor terminal(::open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY));
    if (!terminal) throw Error(ErrorCode::usage, what, hint);
    return terminal;
}

} // namespace

Secret ask_passphrase(bool twice, const std::stop_token& stop) {
    const FileDescriptor terminal = open_terminal("there is no key, and no terminal to ask for a passphrase",
                                                  "add --key-file FILE, or set HOLDFAST_PASSPHRASE");
    Secret passphrase = ask(terminal.get(), twice ? "new passphrase: " : "passphrase: ", Echo::off, stop);
    if (passphrase.empty()) throw Error(ErrorCode::usage, "the passphrase is empty");
    if (twice &&
        !equal_constant_time(passphrase.view(), ask(terminal.get(), "once more: ", Echo::off, stop).view())) {
        throw Error(ErrorCode::usage, "the two passphrases differ");
    }
    return passphrase;
}

bool confirm(const std::string& question, const std::stop_token& stop) {
    const FileDescriptor terminal = open_terminal("this is to be confirmed, and there is no terminal to ask",
                                                  "add --yes when it is meant");
    const Secret answer = ask(terminal.get(), question + " [y/N] ", Echo::on, stop);
    const std::string_view text = as_text(answer.view());
    return text == "y" || text == "yes";
}

std::string ask_code(const std::stop_token& stop) {
    const FileDescriptor terminal =
        open_terminal("the server asks for a code of the second factor, and there is no terminal to ask at",
                      "add --code with what the authenticator shows now");
    const Secret code = ask(terminal.get(), "code of the second factor: ", Echo::off, stop);
    return std::string(as_text(code.view()));
}

} // namespace holdfast
