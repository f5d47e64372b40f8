// At a terminal: a passphrase is asked for unseen, and the terminal is as it was afterwards, however it ends.
#include "base/error.h"
#include "support/holdfast_user.h"

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <thread>

#include <fcntl.h>
#include <gmock/gmock.h>
#include <poll.h>
#include <pty.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>
#include <utmp.h>

namespace holdfast::test {
namespace {

using testing::HasSubstr;
using testing::Not;

constexpr std::chrono::seconds longest_wait{60};

// A program with a terminal of its own; killed when it is destroyed.
class AtTerminal {
  public:
    AtTerminal(std::vector<std::string> words, const std::map<std::string, std::string>& variables) {
        words.insert(words.begin(), HOLDFAST_PROGRAM);
        std::vector<std::string> environment;
        for (const auto& [name, value] : variables) environment.push_back(name + "=" + value);
        std::vector<char*> arguments, settings;
        for (std::string& word : words) arguments.push_back(word.data());
        for (std::string& setting : environment) settings.push_back(setting.data());
        arguments.push_back(nullptr);
        settings.push_back(nullptr);
        if (::openpty(&keyboard_, &terminal_, nullptr, nullptr, nullptr) != 0)
            throw system_error(errno, "openpty");
        process_ = ::fork();
        if (process_ < 0) throw system_error(errno, "fork");
        if (process_ > 0) return;
        ::login_tty(terminal_);
        ::execve(arguments[0], arguments.data(), settings.data());
        ::_exit(127);
    }
    ~AtTerminal() {
        if (process_ > 0) {
            ::kill(process_, SIGKILL);
            ::waitpid(process_, nullptr, 0);
        }
        ::close(keyboard_);
        ::close(terminal_);
    }
    AtTerminal(const AtTerminal&) = delete;
    AtTerminal& operator=(const AtTerminal&) = delete;

    bool echoes() const {
        termios settings{};
        if (::tcgetattr(terminal_, &settings) != 0) throw system_error(errno, "tcgetattr");
        return (settings.c_lflag & ECHO) != 0;
    }
    // Waits until `text` has been shown; whether it came.
    bool shows(const std::string& text) {
        const auto end = std::chrono::steady_clock::now() + longest_wait;
        while (screen_.find(text) == std::string::npos) {
            if (std::chrono::steady_clock::now() > end || !read_some()) return false;
        }
        return true;
    }
    void type(const std::string& text) const {
        if (::write(keyboard_, text.data(), text.size()) != static_cast<ssize_t>(text.size())) {
            throw system_error(errno, "typing");
        }
    }
    // The exit code, or 128 and a signal's number.
    int wait() {
        const auto end = std::chrono::steady_clock::now() + longest_wait;
        int status = 0;
        while (::waitpid(process_, &status, WNOHANG) == 0) {
            if (std::chrono::steady_clock::now() > end) return -1;
            read_some();
        }
        process_ = -1;
        while (read_some()) {
        }
        return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    }
    const std::string& screen() const { return screen_; }

  private:
    bool read_some() {
        pollfd waiting{keyboard_, POLLIN, 0};
        if (::poll(&waiting, 1, 50) <= 0) return process_ > 0;
        char bytes[4096];
        const ssize_t got = ::read(keyboard_, bytes, sizeof bytes);
        if (got <= 0) return false;
        screen_.append(bytes, static_cast<std::size_t>(got));
        return true;
    }
    pid_t process_ = -1;
    int keyboard_ = -1, terminal_ = -1;
    std::string screen_;
};

class Terminal : public HoldfastUser {
  protected:
    Terminal() { options.environment.erase("HOLDFAST_KEY_FILE"); }
};

TEST_F(Terminal, APassphraseIsAskedForTwiceAndNeverShown) {
    {
        AtTerminal init({"init"}, options.environment);
        ASSERT_TRUE(init.shows("new passphrase: ")) << init.screen();
        EXPECT_FALSE(init.echoes());
        init.type("correct horse\n");
        ASSERT_TRUE(init.shows("once more: ")) << init.screen();
        EXPECT_FALSE(init.echoes());
        init.type("correct horse\n");
        EXPECT_EQ(init.wait(), 0) << init.screen();
        EXPECT_TRUE(init.echoes());
        EXPECT_THAT(init.screen(), Not(HasSubstr("correct horse")));
        EXPECT_THAT(init.screen(), HasSubstr("Recovery key"));
    }
    AtTerminal snapshots({"snapshots"}, options.environment);
    ASSERT_TRUE(snapshots.shows("passphrase: ")) << snapshots.screen();
    snapshots.type("correct horse\n");
    EXPECT_EQ(snapshots.wait(), 0) << snapshots.screen();
    AtTerminal wrong({"snapshots"}, options.environment);
    ASSERT_TRUE(wrong.shows("passphrase: ")) << wrong.screen();
    wrong.type("battery staple\n");
    EXPECT_EQ(wrong.wait(), 1) << wrong.screen();
    EXPECT_THAT(wrong.screen(), Not(HasSubstr("battery staple")));
}

TEST_F(Terminal, APassphraseIsAskedForOnceForSeveralRepositories) {
    const std::string other = scratch.file("other");
    options.environment["HOLDFAST_PASSPHRASE"] = "correct horse";
    json({"init", repository()});
    json({"init", other});
    options.environment.erase("HOLDFAST_PASSPHRASE");
    write("a", "text");
    AtTerminal backup({"backup", "--source", "home", source(), "--repo", repository(), "--repo", other},
                      options.environment);
    ASSERT_TRUE(backup.shows("passphrase: ")) << backup.screen();
    backup.type("correct horse\n");
    EXPECT_EQ(backup.wait(), 0) << backup.screen();
    const std::string& screen = backup.screen();
    EXPECT_EQ(screen.find("passphrase: "), screen.rfind("passphrase: ")) << screen;
    options.environment["HOLDFAST_PASSPHRASE"] = "correct horse";
    for (const std::string& url : {repository(), other})
        EXPECT_EQ(json({"snapshots", "--repo", url}).size(), 1U) << url;
}

TEST_F(Terminal, CtrlCAtThePromptEndsAndTheTerminalShowsAgainWhatIsTyped) {
    for (const bool second_question : {false, true}) {
        AtTerminal init({"init"}, options.environment);
        ASSERT_TRUE(init.shows("new passphrase: ")) << init.screen();
        if (second_question) {
            init.type("half of it\n");
            ASSERT_TRUE(init.shows("once more: ")) << init.screen();
        }
        EXPECT_FALSE(init.echoes());
        init.type("half a passph\x03");
        EXPECT_EQ(init.wait(), 1) << init.screen();
        EXPECT_TRUE(init.echoes());
        EXPECT_THAT(init.screen(), HasSubstr("stopped"));
        EXPECT_FALSE(std::filesystem::exists(repository() + "/config"));
    }
}

TEST_F(Terminal, WhatDiffersOrIsEmptyIsRefused) {
    AtTerminal differs({"init"}, options.environment);
    ASSERT_TRUE(differs.shows("new passphrase: ")) << differs.screen();
    differs.type("one\n");
    ASSERT_TRUE(differs.shows("once more: ")) << differs.screen();
    differs.type("two\n");
    EXPECT_EQ(differs.wait(), 2) << differs.screen();
    EXPECT_THAT(differs.screen(), HasSubstr("differ"));
    AtTerminal nothing({"init"}, options.environment);
    ASSERT_TRUE(nothing.shows("new passphrase: ")) << nothing.screen();
    nothing.type("\n");
    EXPECT_EQ(nothing.wait(), 2) << nothing.screen();
    EXPECT_FALSE(std::filesystem::exists(repository() + "/config"));
}

} // namespace
} // namespace holdfast::test
