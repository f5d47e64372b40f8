// Room on the disk that a repository is on, looked at before and while something is stored there: a disk that
// is full harms others, the server that is backed up first of all.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <thread>

namespace holdfast {

class Error;

struct SpaceLeft {
    std::string place;
    std::uint64_t free_bytes = 0; // for us
    std::uint64_t capacity_bytes = 0;

    // That stays free: a hundredth of the disk, 16 MiB at least and 1 GiB at most.
    std::uint64_t reserve_bytes() const;
    bool is_short() const { return free_bytes < reserve_bytes(); }
};

// Of the disk that `directory` is on, or would be. Nothing when that cannot be seen.
std::optional<SpaceLeft> space_at(const std::string& directory);
// Of the disk that the repository at `url` is on. Nothing for what lies in a bucket: that has no end.
std::optional<SpaceLeft> space_of_repository(std::string_view url);

// Looks once a second, for as long as it lives.
class SpaceWatch {
  public:
    // Thread-safe; nothing: not known.
    using Ask = std::function<std::optional<SpaceLeft>()>;

    // Throws Error(no_space) when there is too little at once. A stop of `parent` is passed on.
    SpaceWatch(Ask ask, std::stop_token parent);

    // Stops when too little is left.
    std::stop_token stop_token() const { return stop_.get_token(); }
    // What to throw instead of `error`, which work that was done under the token has thrown: Error(no_space)
    // with what to do, when it was for lack of room.
    Error explain(const Error& error) const;

  private:
    void watch(const std::stop_token& end);

    const Ask ask_;
    std::stop_source stop_;
    std::atomic<bool> short_ = false;
    struct Forward {
        std::stop_source* target;
        void operator()() const { target->request_stop(); }
    };
    std::stop_callback<Forward> forward_;
    std::jthread thread_; // last: it uses the rest
};

} // namespace holdfast
