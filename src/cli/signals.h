// Interrupt and termination as a request to stop.
#pragma once

#include <atomic>
#include <functional>
#include <mutex>
#include <stop_token>
#include <thread>

namespace holdfast {

// While it lives, SIGINT and SIGTERM (and SIGHUP) request a stop instead of ending the process; a second one
// ends it at once, unless it comes within a fifth of a second. To be made before other threads are.
class StopOnSignal {
  public:
    StopOnSignal();
    ~StopOnSignal();
    StopOnSignal(const StopOnSignal&) = delete;
    StopOnSignal& operator=(const StopOnSignal&) = delete;
    std::stop_token stop_token() const { return stop_.get_token(); }
    // Requested with it by SIGINT: somebody waits for the end.
    std::stop_token hurry_token() const { return hurry_.get_token(); }

  private:
    friend class HangupAction;
    bool hang_up();

    std::stop_source stop_, hurry_;
    std::mutex mutex_;
    std::function<void()> on_hangup_;
    std::atomic<bool> ended_{false};
    std::thread thread_;
};

// While it lives, SIGHUP calls `action`, from another thread, and requests no stop. One at a time.
class HangupAction {
  public:
    HangupAction(StopOnSignal& signals, std::function<void()> action);
    ~HangupAction();
    HangupAction(const HangupAction&) = delete;
    HangupAction& operator=(const HangupAction&) = delete;

  private:
    StopOnSignal& signals_;
};

} // namespace holdfast
