#include "cli/signals.h"

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

} // namespace

StopOnSignal::StopOnSignal() {
    std::signal(SIGPIPE, SIG_IGN);
    const sigset_t set = handled_signals();
    pthread_sigmask(SIG_BLOCK, &set, nullptr);
    thread_ = std::thread([this] {
        const sigset_t waited_for = handled_signals();
        for (;;) {
            int number = 0;
            if (sigwait(&waited_for, &number) != 0) continue;
            if (number == SIGUSR2 && ended_) return;
            if (number == SIGUSR2) continue;
            if (stop_.stop_requested()) ::_exit(exit_by_signal);
            stop_.request_stop();
        }
    });
}

StopOnSignal::~StopOnSignal() {
    ended_ = true;
    // Wakes the thread, which alone waits for it.
    pthread_kill(thread_.native_handle(), SIGUSR2);
    thread_.join();
}

} // namespace holdfast
