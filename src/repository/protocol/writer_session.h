// One run of a writer, from its intent to its commit (docs/format.md, section 10).
#pragma once

#include "base/clock.h"
#include "base/random.h"
#include "repository/envelope.h"
#include "repository/key_ring.h"
#include "repository/protocol/snapshot.h"
#include "repository/trust.h"
#include "store/store.h"

#include <memory>
#include <thread>

namespace holdfast {

// What every part of the protocol works with. All must outlive who uses it.
struct RepositoryContext {
    Store& store;
    const KeyRing& keys;
    const Trust& trust;
    Clock& clock;
    Random& random;
};

// The snapshots that exist: committed and not forgotten, in the order of time. Objects that are damaged or that nobody
// trusted signed are left out and named in `problems`.
struct SnapshotList {
    std::vector<Snapshot> snapshots;
    std::vector<std::string> problems;
};
SnapshotList list_snapshots(const RepositoryContext& context);

// Not thread-safe but for the questions (const members), which any thread may ask once begin() has returned.
class WriterSession {
  public:
    // Steps 1 to 3: puts the intent of `run`, then reads what is condemned, then lists. A thread puts beats every
    // `beat_interval` until the session ends; zero puts none (tests and simulations call beat()).
    static std::unique_ptr<WriterSession> begin(const RepositoryContext& context, const RunSecrets& run,
                                                const std::string& what, Duration beat_interval);
    ~WriterSession();

    // Whether a frame may be referred to by what this run commits: its pack was listed or has moved, and the frame is not
    // condemned. For frames that an existing snapshot refers to.
    bool may_refer(const FrameAddress& frame) const;
    // The same, but also false when the frame's pack itself was not in the listing: for entries of an index.
    bool in_listed_pack(const FrameAddress& frame) const;
    const SnapshotList& snapshots() const;
    // Checkpoints of runs that never committed, of this source, newest first.
    std::vector<Snapshot> checkpoints(const std::string& source) const;

    void beat();
    // Puts a checkpoint of this run; `snapshot.state` must be unfinished.
    void checkpoint(const Snapshot& snapshot);
    // Step 5. Throws Error(fenced) when a collector has given this run up.
    void commit(const Snapshot& snapshot);

  private:
    struct State;
    explicit WriterSession(std::unique_ptr<State> state);
    std::unique_ptr<State> state_;
};

// Says that a snapshot is no longer wanted. Its data goes with the next collection. Refuses with Error(usage) a snapshot that
// is held, and the last one of its source unless `even_the_last`.
void forget_snapshot(const RepositoryContext& context, const RunId& id, bool even_the_last);

} // namespace holdfast
