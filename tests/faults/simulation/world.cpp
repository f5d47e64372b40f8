#include "faults/simulation/world.h"

#include "base/error.h"
#include "repository/node/node.h"
#include "repository/pack/pack_reader.h"
#include "repository/protocol/protocol_object.h"
#include "repository/protocol/reachability.h"
#include "repository/protocol/snapshot_list.h"
#include "store/memory_store.h"
#include "store/retry_store.h"

#include <algorithm>

#include <fmt/format.h>

namespace holdfast::simulation {

namespace {

Credential key_file(Byte value) {
    return Credential::key_file({Secret::copy_of(Bytes(32, value)), std::nullopt, false});
}

// As many attempts as fit into a bad minute; then the actor gives up, as programs do.
RetrySettings retries() {
    RetrySettings settings;
    settings.attempts = 5;
    settings.first_delay = std::chrono::milliseconds(200);
    return settings;
}

} // namespace

Keys::Keys() {
    MemoryStore store;
    FakeClock clock(start_of_time());
    SeededRandom random(1);
    InitOptions options;
    options.recovery_key = false;
    options.capabilities = store.capabilities();
    create_repository(store, clock, random, key_file(1), options);
    {
        Unlocked admin = unlock(store, key_file(1));
        KeySlots slots(store, clock, random, admin);
        const Credential credential = key_file(2);
        NewSlot slot;
        slot.label = "collector";
        slot.role = Role::prune;
        slot.credential = &credential;
        slots.add(slot);
    }
    writers = std::make_unique<Unlocked>(unlock(store, key_file(1)));
    collectors = std::make_unique<Unlocked>(unlock(store, key_file(2)));
}

World::World(const Keys& all_keys, std::uint64_t seed, const ProtocolSteps& protocol_steps)
    : keys(all_keys), steps(protocol_steps), scheduler(seed) {}

void TracingLogger::log(LogLevel, std::string_view event, std::initializer_list<LogField> fields) {
    if (!world_.objects.trace) return;
    std::string line = fmt::format("logs: {}", event);
    for (const auto& [name, value] : fields) {
        if (const auto* text = std::get_if<std::string>(&value)) line += fmt::format(", {}: {}", name, *text);
    }
    world_.trace(actor_, line);
}

void World::trace(const std::string& actor, const std::string& what) {
    if (!objects.trace) return;
    objects.trace(fmt::format("{:>10.3f} s  {:<12} -- {}",
                              std::chrono::duration<double>(scheduler.now()).count(), actor, what));
}

Participant::Participant(World& world, const std::string& name, const Unlocked& holder,
                         const Nastiness& nastiness, Duration skew, std::int64_t dies_at)
    : name_(name),
      logger_(world, name),
      clock_(world.scheduler, skew),
      random_(world.scheduler.random().u64()),
      store_(std::make_shared<RetryStore>(world.connections.emplace_back(std::make_shared<Connection>(
                                              world.objects, world.scheduler, name, nastiness, dies_at)),
                                          retries(), clock_, random_)),
      // Actors take turns, so that none has threads.
      context_{*store_, holder.ring, holder.trust, clock_, random_, world.steps, nullptr, 1} {}

namespace {

LogFloors release_some(World& world, const Participant& collector) {
    const SnapshotList list = list_snapshots(collector.context());
    if (list.snapshots.empty() || !world.scheduler.chance(400)) return {};
    const Snapshot& anchor = list.snapshots[world.scheduler.random().below(list.snapshots.size())];
    if (!anchor.log) return {};
    const std::uint64_t floor = anchor.log->range.begin;
    std::uint64_t& released = world.logs[anchor.source].released;
    released = std::max(released, floor);
    return {{{anchor.log->archive, 1}, floor}};
}

} // namespace

void collect(World& world, const Participant& collector, CollectorSettings settings) {
    Progress progress;
    try {
        settings.released_logs = release_some(world, collector);
        const CollectorReport report = collect_garbage(collector.context(), settings, progress);
        ++world.collections;
        world.fenced += report.fenced.size();
        world.dropped_slices += report.deleted_log_slices;
        world.trace(collector.name(),
                    fmt::format("collected: {} packs deleted, {} rewritten{}", report.deleted_packs,
                                report.rewritten_packs, report.postponed ? ", postponed" : ""));
    } catch (const Error& error) {
        world.trace(collector.name(), "gave up: " + error.message());
    }
}

namespace {

std::uint64_t begin_of_log(const Snapshot& snapshot) { return snapshot.log ? snapshot.log->range.begin : 0; }

} // namespace

void forget_one(World& world, const Participant& actor) {
    try {
        const SnapshotList list = list_snapshots(actor.context());
        if (list.snapshots.empty()) return;
        // Often the one whose log goes farthest back.
        const RunId id = world.scheduler.chance(500)
                             ? std::ranges::min_element(list.snapshots, {}, begin_of_log)->id
                             : list.snapshots[world.scheduler.random().below(list.snapshots.size())].id;
        world.forgotten.insert(id);
        world.trace(actor.name(), "forgets " + id.hex());
        forget_snapshot(actor.context(), id, true);
    } catch (const Error& error) {
        world.trace(actor.name(), "gave up: " + error.message());
    }
}

namespace {

// A quiet connection for the simulation itself.
Participant observer(World& world) { return {world, "observer", *world.keys.writers, {}, {}, -1}; }

} // namespace

void forget_oldest(World& world, const std::string& source) {
    const Participant self = observer(world);
    SnapshotList list = list_snapshots(self.context());
    std::erase_if(list.snapshots, [&](const Snapshot& snapshot) { return snapshot.source != source; });
    if (list.snapshots.size() < 2) return;
    const RunId id = std::ranges::min_element(list.snapshots, {}, begin_of_log)->id;
    world.forgotten.insert(id);
    world.trace(self.name(), "forgets " + id.hex());
    forget_snapshot(self.context(), id, true);
}

bool somebody_collects(const World& world) {
    const auto first = world.objects.by_name.lower_bound(std::string(condemned_prefix));
    return first != world.objects.by_name.end() && first->first.starts_with(condemned_prefix);
}

void lose_unneeded_pack(World& world) {
    if (world.writers_at_work > 0) return;
    // A commit of a writer that died may still land.
    for (const auto& [run, _] : world.intended) {
        if (!world.objects.by_name.contains(commit_name(run)) && !world.forgotten.contains(run) &&
            world.objects.commits_tried.contains(commit_name(run))) {
            return;
        }
    }
    const Participant self = observer(world);
    PackReader packs(self.context().store, self.context().keys);
    NodeReader nodes(packs);
    ReachabilityScanner scanner(nodes);
    std::set<PackId> needed;
    try {
        for (const Snapshot& snapshot : list_snapshots(self.context()).snapshots)
            scanner.add_tree(snapshot.root);
        for (const auto& [origin, frames] : scanner.frames().packs()) {
            for (std::uint32_t i = 0; i < frames.size(); ++i) {
                if (frames[i]) needed.insert(packs.holder_of({origin, i})->id);
            }
        }
    } catch (const Error&) {
        return; // between a delete and its moved, or violated: others find out
    }
    std::vector<std::string> unneeded;
    for (const std::string& name : list_names(self.context().store, packs_prefix)) {
        const auto pack = PackId::from_name(name);
        // What a collector made it may be about to need.
        if (pack && world.intended.contains(pack->run) && !needed.contains(*pack) &&
            !world.objects.locks.contains(name)) {
            unneeded.push_back(name);
        }
    }
    if (unneeded.empty()) return;
    const std::string& lost = unneeded[world.scheduler.random().below(unneeded.size())];
    world.trace("accident", "loses " + lost);
    world.objects.by_name.erase(lost);
}

namespace {

// What is wrong with the tree of a snapshot.
std::optional<std::string> fault_of(World& world, const Participant& self, const RunId& run,
                                    const NodeRef& root) {
    PackReader packs(self.context().store, self.context().keys);
    NodeReader nodes(packs);
    try {
        if (read_dataset(nodes, packs, root) == world.intended[run]) return std::nullopt;
        return fmt::format("{} is not what was backed up", run.hex());
    } catch (const Error& error) {
        return fmt::format("{} cannot be read: {}", run.hex(), error.message());
    }
}

void check_locked(World& world, const Participant& self, const std::string& when) {
    for (const auto& [run, locked] : world.locked) {
        if (locked.until <= start_of_time() + world.scheduler.now()) continue;
        if (const auto fault = fault_of(world, self, run, locked.root))
            world.lose(fmt::format("{}: locked snapshot {}", when, *fault));
    }
}

} // namespace

void check_snapshots(World& world, const std::string& when) {
    const Participant self = observer(world);
    const SnapshotList list = list_snapshots(self.context());
    if (!list.problems.empty()) world.lose(fmt::format("{}: {}", when, list.problems.front()));
    std::set<RunId> there;
    for (const Snapshot& snapshot : list.snapshots) {
        there.insert(snapshot.id);
        if (const auto fault = fault_of(world, self, snapshot.id, snapshot.root))
            world.lose(fmt::format("{}: snapshot {}", when, *fault));
        try {
            check_log(world, self, snapshot, when);
        } catch (const Error& error) {
            world.lose(fmt::format("{}: the log of snapshot {} cannot be read: {}", when, snapshot.id.hex(),
                                   error.message()));
        }
    }
    check_locked(world, self, when);
    for (const RunId& run : world.acknowledged) {
        if (!there.contains(run) && !world.forgotten.contains(run)) {
            world.lose(fmt::format("{}: snapshot {} was acknowledged and is gone", when, run.hex()));
        }
    }
}

void check_collected(World& world) {
    const Participant self = observer(world);
    Progress progress;
    CollectorSettings settings;
    settings.dry_run = true;
    settings.tolerated_dead_part = 0;
    settings.requests_at_once = 1;
    const CollectorReport report = collect_garbage(self.context(), settings, progress);
    if (report.deleted_packs > 0) {
        world.left_over = fmt::format("at the end {} packs of {} are left that nobody needs",
                                      report.deleted_packs, report.packs_before);
    }
    if (report.deleted_log_slices > 0) {
        world.left_over =
            fmt::format("at the end {} slices of logs are left that nobody needs", report.deleted_log_slices);
    }
    const std::vector<std::string> intents = list_names(self.context().store, intents_prefix);
    if (!intents.empty()) world.left_over = "at the end there is still " + intents.front();
}

} // namespace holdfast::simulation
