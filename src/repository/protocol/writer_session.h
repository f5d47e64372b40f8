// One run of a writer, from its intent to its commit (docs/format.md, section 10).
#pragma once

#include "repository/node/node_reader.h"
#include "repository/protocol/context.h"
#include "repository/protocol/log_floors.h"
#include "repository/protocol/snapshot.h"
#include "repository/protocol/snapshot_list.h"
#include "repository/run_context.h"

#include <memory>
#include <string>
#include <vector>

namespace holdfast {

// Not thread-safe but for the questions (const members), which any thread may ask once begin() has returned.
// Memory: eight bytes a listed pack, and what the snapshots and the verdicts take.
class WriterSession {
    struct State;

  public:
    // For begin(), which alone can make a State.
    explicit WriterSession(std::unique_ptr<State> state);
    // Steps 1 to 3: puts the intent of `run`, then reads what is condemned, then lists; takes the intent back
    // when it comes to nothing, by calls to the store with `leave_call`. A thread puts beats every
    // `beat_interval` until the session ends; zero puts none (tests and simulations call beat()). `what` is
    // for people. `context` and `run` must outlive the session.
    static std::unique_ptr<WriterSession> begin(const RepositoryContext& context, RunContext& run,
                                                const std::string& what, Duration beat_interval,
                                                const CallOptions& leave_call = {});
    ~WriterSession();

    // Whether a frame may be referred to by what this run commits: its pack was listed, or a collector moved
    // what lives of it to packs that were, and the frame is not condemned. What an index, a snapshot or a
    // checkpoint names may have been lost; then it is false, and what is stored anew heals the loss.
    bool may_refer(const FrameAddress& frame) const;
    // The same, and nodes in it can be read by this holder until the run ends, as far as collections decide
    // that: what they move lies in packs of theirs, into which who reads only his own cannot look.
    bool may_reuse(const FrameAddress& frame) const;
    const SnapshotList& snapshots() const;
    // Log before this position is let go, or is about to be: a backup must not need any of it. 0: all stays.
    std::uint64_t log_released_until(const LogBranchName& log) const;
    // What was found damaged or untrusted in the lists of collectors. When one is damaged, nothing may be
    // referred to.
    const std::vector<std::string>& problems() const;
    // Checkpoints of runs that never committed, of this source, newest first.
    std::vector<Snapshot> checkpoints(const std::string& source) const;
    // Whether every frame below a checkpoint may be referred to; to be asked before anything is taken from
    // it. Unlike a snapshot, a checkpoint may have lost a part while the rest is still needed by others.
    // Reads its nodes.
    bool may_build_on(const Snapshot& checkpoint, NodeReader& nodes) const;

    void beat();
    // Puts a checkpoint of this run; `snapshot.state` must be unfinished. Everything that it refers to must
    // be in the store.
    void checkpoint(const Snapshot& snapshot);
    // Ends the run before its commit, which must not have been tried: takes its intents back, so that
    // collectors do not wait for it. What its last checkpoint refers to they keep all the same. Nothing may
    // be put by this run afterwards. `call` is for the calls to the store.
    void leave(const CallOptions& call = {});
    // Step 5; everything that `snapshot` refers to must be in the store. Throws Error(fenced) when a
    // collector has given this run up. After any other error the commit may or may not be there; commit()
    // with an equal snapshot tries again. `call` is for the calls to the store.
    void commit(const Snapshot& snapshot, const CallOptions& call = {});

  private:
    std::unique_ptr<State> state_;
};

} // namespace holdfast
