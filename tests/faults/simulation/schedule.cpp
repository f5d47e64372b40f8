#include "faults/simulation/schedule.h"

#include "base/error.h"

#include <array>

#include <fmt/format.h>

namespace holdfast::simulation {

namespace {

using std::chrono::hours;
using std::chrono::minutes;

constexpr Duration patience = hours(1);
constexpr Duration length_of_schedule = hours(8);

// One of them in each schedule: what happens between two steps needs somebody to be slow there.
constexpr std::array slow_places{"",
                                 "list condemned/",
                                 "list verdicts/",
                                 "list commits/",
                                 "list packs/",
                                 "list logs/",
                                 "get intents/",
                                 "get verdicts/",
                                 "put packs/",
                                 "put moved/",
                                 "remove packs/",
                                 "remove condemned/",
                                 "remove verdicts/"};

class Schedule {
  public:
    Schedule(World& world) : world_(world), scheduler_(world.scheduler) {}

    void run() {
        begin_calmly();
        choose_nastiness();
        const std::uint64_t writers = 1 + random(3);
        const std::uint64_t collectors = 1 + random(3);
        for (std::uint64_t i = 0; i < writers; ++i) add_writer(i);
        for (std::uint64_t i = 0; i < collectors; ++i) add_collector(i);
        add_forgetter();
        for (std::uint64_t i = 0; i < 2; ++i) add_receiver(i);
        if (scheduler_.chance(400)) add_standby();
        if (scheduler_.chance(300)) {
            scheduler_.at(scheduler_.now() + random_start(), [this] { lose_unneeded_pack(world_); });
        }
        scheduler_.run_actors();
        check_snapshots(world_, "when all actors had ended");
        scheduler_.run_planned();
        world_.objects.locks.clear();
        world_.locked.clear();
        end_calmly();
    }

  private:
    std::uint64_t random(std::uint64_t limit) { return scheduler_.random().below(limit); }
    Duration random_start() { return scheduler_.uniform_duration(length_of_schedule); }

    // Few documents and few contents, so that everything is shared and dies often.
    Dataset random_dataset() {
        Dataset dataset;
        // The large one first, so that every checkpoint has it.
        for (const char* name : {"Large", "a", "b"}) {
            Members& members = dataset[name];
            members["1"] = random_content();
            if (scheduler_.chance(500)) members["2"] = random_content();
        }
        return dataset;
    }
    Content random_content() { return static_cast<Content>(random(8)); }

    void change(Dataset& dataset) {
        for (auto& [_, members] : dataset) {
            if (scheduler_.chance(350)) members["1"] = random_content();
        }
    }

    Participant quiet(const std::string& name, const Unlocked& holder) {
        return {world_, name, holder, {}, Duration::zero(), -1};
    }

    // Something to reuse and something to collect.
    void begin_calmly() {
        const Participant writer = quiet("before", *world_.keys.writers);
        for (std::uint64_t i = 0; i < 2; ++i)
            back_up(world_, writer, fmt::format("source {}", i), random_dataset());
        if (scheduler_.chance(700)) forget_one(world_, writer);
    }

    void choose_nastiness() {
        const std::uint64_t calm = scheduler_.chance(300) ? 0 : 1 + random(25);
        nastiness_.lost_request = random(calm + 1);
        nastiness_.lost_answer = random(calm + 1);
        nastiness_.delayed = random(calm + 1);
        nastiness_.repeated = scheduler_.chance(200) ? 300 : random(2 * calm + 1);
        nastiness_.pause = random(25);
        nastiness_.pause_deciding = random(400);
        nastiness_.slow_place = slow_places[random(slow_places.size())];
        nastiness_.longest_pause = patience * 4;
        nastiness_.longest_delay = length_of_schedule;
        locking_ = scheduler_.chance(200);
        world_.objects.hides_locked = scheduler_.chance(500);
    }

    // The first two have snapshots from the beginning.
    std::string random_source() { return fmt::format("source {}", scheduler_.chance(100) ? 2 : random(2)); }
    bool chooses_lock() { return locking_ && scheduler_.chance(300); }

    Duration random_skew() {
        return scheduler_.chance(500) ? Duration::zero()
                                      : hours(static_cast<std::int64_t>(random(49))) - hours(24);
    }
    std::int64_t random_death(std::uint64_t operations) {
        return scheduler_.chance(250) ? static_cast<std::int64_t>(random(operations)) : -1;
    }

    void add_writer(std::uint64_t number) {
        const std::string name = fmt::format("writer {}", number);
        // Two writers of one source at times.
        const std::string source = random_source();
        const std::uint64_t backups = 1 + random(3);
        scheduler_.add(name, random_start(), [this, name, source, backups] {
            const Participant self(world_, name, *world_.keys.writers, nastiness_, random_skew(),
                                   random_death(150));
            Dataset dataset = random_dataset();
            for (std::uint64_t i = 0; i < backups; ++i) {
                back_up(world_, self, source, dataset, {.lag = Lag::any, .lock = chooses_lock()});
                change(dataset);
                scheduler_.yield(scheduler_.random_duration(hours(3)));
            }
        });
    }

    void add_collector(std::uint64_t number) {
        const std::string name = fmt::format("collector {}", number);
        const std::uint64_t collections = 1 + random(3);
        scheduler_.add(name, random_start(), [this, name, collections] {
            const Participant self(world_, name, *world_.keys.collectors, nastiness_, random_skew(),
                                   random_death(400));
            for (std::uint64_t i = 0; i < collections; ++i) {
                collect(world_, self, random_settings());
                scheduler_.yield(scheduler_.random_duration(hours(3)));
            }
        });
    }

    // Backups that begin as early in the log as they may, often while somebody collects, and what they have
    // listed is forgotten meanwhile.
    void add_standby() {
        const std::string source = random_source();
        scheduler_.add("standby", random_start() / 2, [this, source] {
            const Participant self(world_, "standby", *world_.keys.writers, nastiness_, random_skew(), -1);
            const Dataset dataset = random_dataset();
            for (int i = 0; i < 3; ++i) {
                if (scheduler_.chance(600)) await_collection();
                scheduler_.at(scheduler_.now() + scheduler_.uniform_duration(minutes(60)),
                              [this, source] { forget_oldest(world_, source); });
                back_up(world_, self, source, dataset, {.lag = Lag::as_far_as_it_may, .lock = false});
            }
        });
    }

    // Until something is condemned, or at times until it is no longer: then it has been decided, and goes.
    void await_collection() {
        const auto await = [this](bool wanted) {
            for (int look = 0; look < 40 && somebody_collects(world_) != wanted; ++look)
                scheduler_.yield(minutes(5));
        };
        await(true);
        if (scheduler_.chance(400)) await(false);
    }

    void add_receiver(std::uint64_t number) {
        const std::string name = fmt::format("receiver {}", number);
        const std::uint64_t windows = random(4);
        scheduler_.add(name, random_start(), [this, name, number, windows] {
            const Participant self(world_, name, *world_.keys.writers, nastiness_, random_skew(),
                                   random_death(10));
            for (std::uint64_t i = 0; i < windows; ++i) {
                receive_log(world_, self, fmt::format("source {}", number));
                scheduler_.yield(scheduler_.random_duration(hours(3)));
            }
        });
    }

    CollectorSettings random_settings() {
        CollectorSettings settings = eager_settings();
        settings.wait = scheduler_.chance(300) ? Duration::zero() : 6 * patience;
        settings.collector_patience = scheduler_.chance(500) ? patience : patience / 8;
        settings.tolerated_dead_part = scheduler_.chance(500) ? 0.01 : 0.6;
        settings.keep_checkpoints = scheduler_.chance(500) ? hours(24) : minutes(30 * random(2));
        return settings;
    }
    static CollectorSettings eager_settings() {
        CollectorSettings settings;
        settings.patience = patience;
        settings.collector_patience = patience;
        settings.wait = 10 * patience;
        settings.poll_interval = minutes(10);
        settings.beat_interval = Duration::zero();
        settings.keep_checkpoints = Duration::zero();
        settings.tolerated_dead_part = 0;
        settings.pack_bytes = 600;     // a few frames
        settings.requests_at_once = 1; // actors take turns
        return settings;
    }

    void add_forgetter() {
        const std::uint64_t forgets = random(4);
        scheduler_.add("forgetter", random_start(), [this, forgets] {
            const Participant self(world_, "forgetter", *world_.keys.collectors, nastiness_, random_skew(),
                                   -1);
            for (std::uint64_t i = 0; i < forgets; ++i) {
                forget_one(world_, self);
                if (scheduler_.chance(300)) lock_some_pack();
                scheduler_.yield(scheduler_.random_duration(hours(3)));
            }
        });
    }

    void lock_some_pack() {
        auto at = world_.objects.by_name.lower_bound("packs/");
        for (std::uint64_t skip = random(6); skip > 0 && at != world_.objects.by_name.end(); --skip) ++at;
        if (at != world_.objects.by_name.end() && at->first.starts_with("packs/"))
            world_.objects.locks[at->first] = Timestamp::max();
    }

    // Full collections with nothing in their way: what counts is kept, and all else goes. The first may have
    // to end what others left; the last finds nothing new.
    void end_calmly() {
        const Participant collector = quiet("after", *world_.keys.collectors);
        for (int i = 0; i < 2; ++i) {
            scheduler_.yield(10 * patience);
            collect(world_, collector, eager_settings());
            check_snapshots(world_, "after a last collection");
        }
        check_collected(world_);
    }

    World& world_;
    Scheduler& scheduler_;
    Nastiness nastiness_;
    bool locking_ = false;
};

} // namespace

void ScheduleResult::add(const ScheduleResult& other) {
    operations += other.operations;
    commits += other.commits;
    collections += other.collections;
    fenced += other.fenced;
    left += other.left;
    resumed += other.resumed;
    reused += other.reused;
    locks += other.locks;
    dropped_slices += other.dropped_slices;
}

ScheduleResult run_schedule(const Keys& keys, std::uint64_t seed, const ProtocolSteps& steps,
                            const std::function<void(const std::string&)>& trace) {
    World world(keys, seed, steps);
    world.objects.trace = trace;
    try {
        Schedule(world).run();
    } catch (const Error& error) {
        world.lose("at the end: " + error.message());
    }
    ScheduleResult result;
    result.lost = world.lost;
    result.left_over = world.left_over;
    result.operations = world.objects.operations;
    result.commits = world.commits;
    result.collections = world.collections;
    result.fenced = world.fenced;
    result.left = world.left;
    result.resumed = world.resumed;
    result.reused = world.reused;
    result.locks = world.locks;
    result.dropped_slices = world.dropped_slices;
    return result;
}

} // namespace holdfast::simulation
