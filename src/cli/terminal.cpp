#include "cli/terminal.h"

#include "base/error.h"
#include "base/file_descriptor.h"

#include <cerrno>
#include <string>

#include <fcntl.h>
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

Secret ask(int fd, const std::string& question) {
    write_all(fd, as_bytes(question), "the terminal");
    Secret typed(most_bytes);
    std::size_t size = 0;
    {
        const NoEcho silent(fd);
        for (;;) {
            Byte byte = 0;
            const ssize_t got = ::read(fd, &byte, 1);
            if (got < 0 && errno == EINTR) continue;
            if (got <= 0 || byte == '\n') break;
            if (size == most_bytes) throw Error(ErrorCode::usage, "the passphrase is too long");
            typed.mutable_view()[size++] = byte;
        }
    }
    write_all(fd, as_bytes("\n"), "the terminal");
    return Secret::copy_of(typed.view().first(size));
}

} // namespace

Secret ask_passphrase(bool twice) {
    const int fd = ::open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
    if (fd < 0) {
        throw Error(ErrorCode::usage, "there is no key, and no terminal to ask for a passphrase",
                    "add --key-file FILE, or set HOLDFAST_PASSPHRASE");
    }
    const FileDescriptor terminal(fd);
    Secret passphrase = ask(terminal.get(), twice ? "new passphrase: " : "passphrase: ");
    if (passphrase.empty()) throw Error(ErrorCode::usage, "the passphrase is empty");
    if (twice && !equal_constant_time(passphrase.view(), ask(terminal.get(), "once more: ").view())) {
        throw Error(ErrorCode::usage, "the two passphrases differ");
    }
    return passphrase;
}

} // namespace holdfast
