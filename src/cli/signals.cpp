#include "cli/signals.h"

#include "base/clock.h"

#include <csignal>

#include <pthread.h>
#include <unistd.h>

namespace holdfast {

namespace {

sigset_t handled_signals() {
    sigset_t set;
    sigemptyset(&set);
    for (const int number : {SIGINT, SIGTERM, SIGHUP, SIGUSR2}) sigaddset(&set, number);
    return set;
}

constexpr int exit_by_signal = 130;
// timeout(1) sends to the process and then to its group: within this the second is the same wish.
constexpr Duration same_wish = std::chrono::milliseconds(200);

} // namespace

StopOnSignal::StopOnSignal() {
    std::signal(SIGPIPE, SIG_IGN);
    const sigset_t set = handled_signals();
    pthread_sigmask(SIG_BLOCK, &set, nullptr);
    thread_ = std::thread([this] {
        const sigset_t waited_for = handled_signals();
        Duration first{};
        for (;;) {
            int number = 0;
            if (sigwait(&waited_for, &number) != 0) continue;
            if (number == SIGUSR2 && ended_) return;
            if (number == SIGUSR2 || (number == SIGHUP && hang_up())) continue;
            if (number == SIGINT) hurry_.request_stop();
            const Duration now = system_clock().steady();
            if (!stop_.stop_requested()) {
                first = now;
                stop_.request_stop();
            } else if (now - first >= same_wish) {
                ::_exit(exit_by_signal);
            }
        }
    });
}

// Whether somebody wanted to know.
bool StopOnSignal::hang_up() {
    const std::scoped_lock lock(mutex_);
    if (!on_hangup_) return false;
    on_hangup_();
    return true;
}

StopOnSignal::~StopOnSignal() {
    ended_ = true;
    // Wakes the thread, which alone waits for it.
    pthread_kill(thread_.native_handle(), SIGUSR2);
    thread_.join();
}

HangupAction::HangupAction(StopOnSignal& signals, std::function<void()> action) : signals_(signals) {
    const std::scoped_lock lock(signals_.mutex_);
    signals_.on_hangup_ = std::move(action);
}

HangupAction::~HangupAction() {
    const std::scoped_lock lock(signals_.mutex_);
    signals_.on_hangup_ = nullptr;
}

} // namespace holdfast
