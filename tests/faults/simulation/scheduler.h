// Runs actors one at a time, in an order that a seed decides, in a time of their own.
//
// Every actor has a thread, but only the one whose turn it is runs: it hands over at every store operation
// and whenever it asks for the time or sleeps. Time stands still while an actor runs and jumps to whatever
// happens next when all sleep.
#pragma once

#include "base/clock.h"
#include "base/random.h"

#include <functional>
#include <map>
#include <memory>
#include <semaphore>
#include <string>
#include <thread>
#include <vector>

namespace holdfast::simulation {

// Unwinds an actor that was killed. Not derived from std::exception, so that nothing handles it by accident.
struct ActorKilled {};

class Scheduler {
  public:
    explicit Scheduler(std::uint64_t seed) : random_(seed) {}
    ~Scheduler();

    // An actor that starts at `start`. `body` runs on the actor's thread; what it throws other than
    // ActorKilled ends the program.
    void add(const std::string& name, Duration start, std::function<void()> body);
    // Calls `body` at `time`, between the turns of actors.
    void at(Duration time, std::function<void()> body);
    // Runs until all actors have ended. What was planned with at() and has not happened by then stays
    // planned.
    void run_actors();
    // Lets everything happen that was planned.
    void run_planned();

    // For the actor whose turn it is: lets others run, then goes on, `duration` later at the earliest.
    // Outside of actors only time passes.
    void yield(Duration duration = Duration::zero());

    Duration now() const { return now_; }
    Random& random() { return random_; }
    // True with a chance of `per_mille` in a thousand.
    bool chance(std::uint64_t per_mille) { return random_.below(1000) < per_mille; }
    Duration uniform_duration(Duration longest);
    // Short mostly.
    Duration random_duration(Duration longest);

  private:
    struct Actor {
        std::string name;
        std::function<void()> body;
        Duration wake{};
        bool ended = false;
        std::binary_semaphore turn{0};
        std::jthread thread;
    };
    bool plan_comes_first() const;
    Actor* choose();
    void give_turn(Actor& actor);
    bool run_due();

    SeededRandom random_;
    Duration now_{};
    std::vector<std::unique_ptr<Actor>> actors_;
    std::multimap<Duration, std::function<void()>> planned_;
    Actor* current_ = nullptr;
    std::binary_semaphore handed_back_{0};
    bool stopping_ = false;
};

// The clock as one actor sees it: its time of day is off by `skew`.
class ActorClock final : public Clock {
  public:
    ActorClock(Scheduler& scheduler, Duration skew) : scheduler_(scheduler), skew_(skew) {}
    Timestamp now() const override;
    Duration steady() const override { return scheduler_.now(); }
    bool sleep_for(Duration duration, std::stop_token stop) override;

  private:
    Scheduler& scheduler_;
    const Duration skew_;
};

// What the time of day is at the beginning.
Timestamp start_of_time();

} // namespace holdfast::simulation
