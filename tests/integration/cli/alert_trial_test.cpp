// Trying rules of alerts, as it is typed.
#include "support/holdfast_user.h"

#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <thread>

#include <fmt/format.h>
#include <gmock/gmock.h>

namespace holdfast::test {
namespace {

using testing::HasSubstr;

class AlertTrials : public HoldfastUser {
  protected:
    AlertTrials() {
        // As root the server of the sandbox runs as another user, who must get there.
        std::filesystem::create_directory(place);
        std::filesystem::permissions(place, std::filesystem::perms(0711));
        options.environment["PATH"] = "/usr/bin:/bin";
    }
    // Of a server whose data directory lies below, once it is made; 0: there is none yet.
    pid_t server_below() const {
        for (const auto& sandbox : std::filesystem::directory_iterator(place)) {
            pid_t process = 0;
            if (std::ifstream(sandbox.path() / "data/postmaster.pid") >> process && process > 0)
                return process;
        }
        return 0;
    }
    static bool lives(pid_t process) {
        std::ifstream status(fmt::format("/proc/{}/stat", process));
        std::string text;
        std::getline(status, text);
        return !text.empty() && text.find(") Z ") == std::string::npos;
    }
    template <typename Wanted>
    static bool comes_true(Wanted&& wanted) {
        for (int i = 0; i < 6000 && !wanted(); ++i)
            std::this_thread::sleep_for(std::chrono::milliseconds(10));
        return wanted();
    }
    const std::string place = scratch.file("sandbox");
    const Words words{"alerts", "test", "log_gap", "--no-channels", "--directory", place};
};

TEST_F(AlertTrials, ALostSegmentIsToldOf) {
    const nlohmann::json trials = json(words);
    EXPECT_EQ(trials.at(0).at("fired"), true) << trials;
    EXPECT_TRUE(std::filesystem::is_empty(place));
}

TEST_F(AlertTrials, KilledItLeavesNoServerBehind) {
    const auto trial = start(words);
    ASSERT_TRUE(comes_true([&] { return server_below() != 0 || trial->ended(); }));
    const pid_t server = server_below();
    ASSERT_GT(server, 0) << trial->finish().error;
    trial->signal(SIGKILL);
    trial->finish();
    EXPECT_TRUE(comes_true([&] { return !lives(server); }));
}

TEST_F(AlertTrials, SaysWhyThereIsNoServer) {
    const std::string deep = place + "/" + std::string(80, 'x');
    std::filesystem::create_directory(deep);
    EXPECT_THAT(failure({"alerts", "test", "log_gap", "--no-channels", "--directory", deep}, 2),
                HasSubstr("no socket can be made"));
    if (::geteuid() == 0) {
        std::filesystem::permissions(place, std::filesystem::perms(0700));
        EXPECT_THAT(failure(words, 1), HasSubstr("Permission denied"));
    }
    EXPECT_TRUE(std::filesystem::is_empty(deep));
}

} // namespace
} // namespace holdfast::test
