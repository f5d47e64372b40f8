#include "faults/simulation/scheduler.h"

#include <algorithm>

namespace holdfast::simulation {

Timestamp start_of_time() { return Timestamp(std::chrono::hours(24 * 365 * 55)); }

Scheduler::~Scheduler() {
    stopping_ = true;
    for (const auto& actor : actors_) {
        if (!actor->ended) give_turn(*actor);
    }
    actors_.clear(); // joined while everything that their threads touch is still there
}

void Scheduler::add(const std::string& name, Duration start, std::function<void()> body) {
    auto actor = std::make_unique<Actor>();
    actor->name = name;
    actor->body = std::move(body);
    actor->wake = now_ + start;
    Actor& added = *actor;
    added.thread = std::jthread([this, &added] {
        added.turn.acquire();
        try {
            if (!stopping_) added.body();
        } catch (const ActorKilled&) {
        }
        added.ended = true;
        handed_back_.release();
    });
    actors_.push_back(std::move(actor));
}

void Scheduler::at(Duration time, std::function<void()> body) { planned_.emplace(time, std::move(body)); }

void Scheduler::give_turn(Actor& actor) {
    current_ = &actor;
    actor.turn.release();
    handed_back_.acquire();
    current_ = nullptr;
}

void Scheduler::yield(Duration duration) {
    if (current_ == nullptr) {
        // Outside of actors nobody else runs; time passes all the same.
        now_ += duration;
        return;
    }
    if (stopping_) throw ActorKilled{}; // while it unwinds
    Actor& actor = *current_;
    actor.wake = now_ + duration;
    Actor* const next = plan_comes_first() ? nullptr : choose();
    if (next == &actor) return;
    if (next != nullptr) {
        current_ = next;
        next->turn.release();
    } else {
        handed_back_.release();
    }
    actor.turn.acquire();
    if (stopping_) throw ActorKilled{};
}

// Whether something that was planned happens before any actor has its turn. It does so on the thread of
// run_actors(); otherwise turns go from actor to actor, for a change of threads costs more than most of them.
bool Scheduler::plan_comes_first() const {
    if (planned_.empty()) return false;
    const Duration planned = planned_.begin()->first;
    return planned <= now_ || std::ranges::all_of(actors_, [&](const auto& actor) {
               return actor->ended || (actor->wake > now_ && actor->wake > planned);
           });
}

// One of those that could run now; when there is none, time moves on to the first that can.
Scheduler::Actor* Scheduler::choose() {
    std::vector<Actor*> ready;
    Actor* first = nullptr;
    for (const auto& actor : actors_) {
        if (actor->ended) continue;
        if (actor->wake <= now_) ready.push_back(actor.get());
        if (first == nullptr || actor->wake < first->wake) first = actor.get();
    }
    if (first == nullptr || !ready.empty())
        return ready.empty() ? nullptr : ready[random_.below(ready.size())];
    if (!planned_.empty() && planned_.begin()->first < first->wake) {
        now_ = std::max(now_, planned_.begin()->first); // what was planned may take time of its own
        run_due();
        return choose();
    }
    now_ = first->wake;
    return first;
}

bool Scheduler::run_due() {
    if (planned_.empty() || planned_.begin()->first > now_) return false;
    const auto body = std::move(planned_.begin()->second);
    planned_.erase(planned_.begin());
    body();
    return true;
}

void Scheduler::run_actors() {
    for (;;) {
        while (run_due()) {
        }
        Actor* next = choose();
        if (next == nullptr) return;
        give_turn(*next);
    }
}

void Scheduler::run_planned() {
    while (!planned_.empty()) {
        now_ = std::max(now_, planned_.begin()->first);
        run_due();
    }
}

Duration Scheduler::uniform_duration(Duration longest) {
    return Duration(
        static_cast<std::int64_t>(random_.below(static_cast<std::uint64_t>(longest.count()) + 1)));
}

// The magnitude is uniform, so that every order of it happens.
Duration Scheduler::random_duration(Duration longest) {
    return uniform_duration(Duration(longest.count() >> random_.below(12)));
}

// A turn is handed over here too: whoever asks for the time must expect it to be old when the answer is
// there.
Timestamp ActorClock::now() const { return start_of_time() + scheduler_.now() + skew_; }

bool ActorClock::sleep_for(Duration duration, std::stop_token stop) {
    scheduler_.yield(duration);
    return !stop.stop_requested();
}

} // namespace holdfast::simulation
