#include "base/stop_grace.h"

#include <condition_variable>
#include <mutex>

namespace holdfast {

StopGrace::StopGrace(std::stop_token asked, Duration grace, Clock& clock) {
    if (!asked.stop_possible()) return;
    thread_ = std::jthread([this, asked = std::move(asked), grace, &clock](std::stop_token ended) {
        wait(asked, grace, clock, ended);
    });
}

void StopGrace::wait(const std::stop_token& asked, Duration grace, Clock& clock,
                     const std::stop_token& ended) {
    std::mutex mutex;
    std::condition_variable_any changed;
    {
        const std::stop_callback wake(asked, [&] {
            const std::scoped_lock lock(mutex);
            changed.notify_all();
        });
        std::unique_lock lock(mutex);
        const bool was_asked = changed.wait(lock, ended, [&] { return asked.stop_requested(); });
        lock.unlock();
        if (!was_asked) return;
    }
    if (clock.sleep_for(grace, ended)) over_.request_stop();
}

} // namespace holdfast
