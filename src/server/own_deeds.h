// What this server does in the repository is known to it at once, and not only from its next look, which may
// take long: who has been answered that something is done asks about it next. So it is with snapshots that it
// made or forgot, with holds, and with tags.
#pragma once

#include "base/log.h"
#include "execution/executor.h"
#include "server/repository_desk.h"
#include "server/repository_view.h"

#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <stop_token>

namespace holdfast {

// What is said of `snapshot` in the repository now. Does not throw: what cannot be read is known from the
// next look on, which tells why not.
void learn_what_is_said(RepositoryObserver& observer, Repository& repository, const Snapshot& snapshot);

// The snapshots that an operation says at its end that it forgot; none where its result makes no sense.
void learn_what_is_gone(RepositoryObserver& observer, const Operation& operation,
                        const ExecutionOutcome& outcome);

// Reads the snapshots that backups have made, on a thread of its own: a store may take its time. Thread-safe.
// The arguments must outlive it.
class NewSnapshots {
  public:
    NewSnapshots(RepositoryObserver& observer, RepositoryDesk& desk, Logger& logger)
        : observer_(observer), desk_(desk), logger_(logger) {}

    // Reads until `stop`.
    void run(const std::stop_token& stop);
    // Returns when the snapshot that the operation made, if it made one, is known, or else after two seconds.
    // Does not throw.
    void learn(const Operation& operation, const ExecutionOutcome& outcome);

  private:
    struct Wanted {
        RunId snapshot;
        bool known = false;
    };
    void read(const RunId& snapshot);

    RepositoryObserver& observer_;
    RepositoryDesk& desk_;
    Logger& logger_;
    std::mutex mutex_; // what follows
    std::condition_variable_any changed_;
    std::deque<std::shared_ptr<Wanted>> wanted_;
    bool running_ = false;
};

} // namespace holdfast
