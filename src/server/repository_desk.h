// The repository for those who ask about it, or say something in it, now: not as it was a moment ago.
#pragma once

#include "base/error.h"
#include "execution/holdfast_call.h"
#include "service/open_repository.h"

#include <functional>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>

namespace holdfast {

// Thread-safe. What it does may take long. The arguments must outlive it.
class RepositoryDesk {
  public:
    RepositoryDesk(std::function<OpenRepository()> open, ProgramWords program, Clock& clock)
        : open_(std::move(open)), program_(std::move(program)), clock_(clock) {}

    // Runs `body` with the repository, open; one at a time, so that what one has read no other changes before
    // he has written. Throws what opening it and `body` throw.
    template <typename Body>
    auto with(Body&& body) {
        const std::scoped_lock lock(mutex_);
        try {
            return body(repository());
        } catch (const Error& error) {
            forget_after(error);
            throw;
        }
    }

    // What `holdfast stats --json` says, at most a minute old. Throws as ask_holdfast(), and
    // Error(unavailable) while another is waiting for the same.
    std::string statistics();
    // What `holdfast window SOURCE --at TIME --json` says. `source` must not look like an option. Throws as
    // ask_holdfast().
    std::string window_at(const std::string& source, const std::string& time);
    // Ends what is being asked; from now on everything that is asked is answered with Error(cancelled).
    void stop() { stop_.request_stop(); }

  private:
    Repository& repository();
    void forget_after(const Error& error);

    const std::function<OpenRepository()> open_;
    const ProgramWords program_;
    Clock& clock_;
    std::stop_source stop_;
    std::mutex mutex_;
    std::optional<OpenRepository> repository_;
    Duration opened_{};
    std::mutex statistics_mutex_; // of what follows
    std::string statistics_;
    std::optional<Duration> statistics_at_;
};

} // namespace holdfast
