// What the actors of a schedule share: the repository, and what the simulation knows about it that they do
// not.
#pragma once

#include "faults/simulation/simulated_documents.h"
#include "faults/simulation/simulated_store.h"
#include "repository/compression.h"
#include "repository/key_slots.h"
#include "repository/log/log_writer.h"
#include "repository/protocol/collector.h"
#include "repository/protocol/snapshot.h"
#include "support/scratch_directory.h"

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace holdfast::simulation {

// Made once for all schedules: keys cost much more than a schedule.
struct Keys {
    Keys();
    std::unique_ptr<Unlocked> writers;    // role full
    std::unique_ptr<Unlocked> collectors; // role prune: no content key
};

// The log of a source, as its server knows it. What stands at a position follows from the position.
struct SimulatedLog {
    std::uint64_t end = 100;      // of what the server has written
    std::vector<LogRange> stored; // whose puts were answered with success
    std::uint64_t released = 0;   // what lies before may go, but for what snapshots need for themselves
};

struct World {
    World(const Keys& all_keys, std::uint64_t seed, const ProtocolSteps& protocol_steps);

    const Keys& keys;
    const ProtocolSteps steps;
    Scheduler scheduler;
    Objects objects;
    // Of one machine, on which all writers run: its cache of index segments.
    test::ScratchDirectory scratch;
    // Operations of actors that are gone may still be under way on their connections.
    std::vector<std::shared_ptr<Connection>> connections;

    // By source.
    std::map<std::string, SimulatedLog> logs;
    Compressor compressor;
    std::set<LogSliceId> read_slices; // and found right: their names are used once
    // What each run would have committed, or did.
    std::map<RunId, Dataset> intended;
    std::set<RunId> acknowledged; // whose commit was answered with success
    std::set<RunId> forgotten;    // that somebody tried to forget
    // Of snapshots that were locked: their trees, which nothing may touch until then, be they forgotten.
    struct Locked {
        NodeRef root;
        Timestamp until{};
    };
    std::map<RunId, Locked> locked;
    // Writers between their listing and their end: while there are any, nothing is lost by accident.
    unsigned writers_at_work = 0;
    std::uint64_t commits = 0, collections = 0, fenced = 0, left = 0, resumed = 0, reused = 0, locks = 0,
                  dropped_slices = 0;
    // What was lost first, and what was left over at the end; nothing when all is well.
    std::optional<std::string> lost;
    std::optional<std::string> left_over;
    void lose(const std::string& what) {
        if (!lost) lost = what;
    }
    void trace(const std::string& actor, const std::string& what);
};

// Shows what the production code logs.
class TracingLogger final : public Logger {
  public:
    TracingLogger(World& world, std::string actor) : world_(world), actor_(std::move(actor)) {}
    void log(LogLevel level, std::string_view event, std::initializer_list<LogField> fields) override;

  private:
    World& world_;
    const std::string actor_;
};

// One actor's connection, clock and keys.
class Participant {
  public:
    Participant(World& world, const std::string& name, const Unlocked& holder, const Nastiness& nastiness,
                Duration skew, std::int64_t dies_at);
    const RepositoryContext& context() const { return context_; }
    const std::string& name() const { return name_; }
    Logger& logger() const { return logger_; }

  private:
    std::string name_;
    mutable TracingLogger logger_;
    ActorClock clock_;
    SeededRandom random_;
    std::shared_ptr<Store> store_;
    RepositoryContext context_;
};

// How a backup goes about the log: as a server does that is up to date, mostly, or as a standby that lags as
// far behind as it may, and takes its time.
enum class Lag { any, as_far_as_it_may };

struct BackupPlan {
    Lag lag = Lag::any;
    bool lock = false; // for longer than a schedule lasts
};

// One backup of `source`, whose documents are `dataset`, by the production BackupRun. Returns false when the
// run was fenced, was stopped or gave up.
bool back_up(World& world, const Participant& writer, const std::string& source, const Dataset& dataset,
             const BackupPlan& plan = {});

// The archive of a source's log.
ArchiveId archive_of(const World& world, const std::string& source);
// A slice of what the server has written of it.
void put_slice(World& world, LogWriter& log, const std::string& source, std::uint64_t begin,
               std::uint64_t end);
// What a receiver does in one go: the server writes some log, it goes to the archive in pieces, and once more
// as a whole.
void receive_log(World& world, const Participant& receiver, const std::string& source);

// One collection, which often lets a log go up to where some snapshot begins. Errors are ordinary: whoever is
// stopped or loses a connection comes back later.
void collect(World& world, const Participant& collector, CollectorSettings settings);

// Forgets some snapshot, or the one of `source` whose log goes farthest back.
void forget_one(World& world, const Participant& actor);
void forget_oldest(World& world, const std::string& source);
// Whether a collection has said what it condemns, and has not ended.
bool somebody_collects(const World& world);

// Removes a pack that no snapshot needs, behind everybody's back, as a disk or a careless hand may. Does
// nothing while a writer is at work: what it has listed it may refer to.
void lose_unneeded_pack(World& world);

// Whether every snapshot that counts can be read to its last byte and says what its writer meant, every
// acknowledged one is there, the log that makes each whole and carries it forward is, too, and what is locked
// can be read, be it forgotten.
void check_snapshots(World& world, const std::string& when);
// The last of these.
void check_log(World& world, const Participant& self, const Snapshot& snapshot, const std::string& when);
// Whether nothing is left that a collection would delete.
void check_collected(World& world);

} // namespace holdfast::simulation
