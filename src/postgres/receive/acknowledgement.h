// How much of the log the server is told to forget, and when that is no longer what the repository has.
#pragma once

#include "base/clock.h"
#include "postgres/receive/wal_position.h"

namespace holdfast::postgres {

// The log so far, each position at or before the one above it.
struct ReceivedSoFar {
    WalPosition received;
    WalPosition synced; // durable in the spool
    // Durable in the repository. 0: not known to be anything.
    WalPosition archived;
};

// Decides from what it is shown, and from how long the repository has not moved. Not thread-safe.
//
// Positions are acknowledged once they are durable in the repository. When that has stood still for
// `patience` although there is something for it, the repository counts as failing: then what is durable in
// the spool is acknowledged, so that the server's disk does not fill. What is acknowledged is always durable
// in the spool too, or was archived and removed from it: so the stream can go on behind it without asking
// what the repository has.
// When `synchronous`, only the repository counts, and an acknowledgement does not wait for the spool: after a
// power cut that may end before what was acknowledged, which the archive has.
class Acknowledgement {
  public:
    Acknowledgement(bool synchronous, Duration patience) : synchronous_(synchronous), patience_(patience) {}

    // The position that may be acknowledged, never less than before. `now` is of a clock that only grows.
    WalPosition update(const ReceivedSoFar& so_far, Duration now);

    bool repository_fails() const { return failing_; }
    // How long the repository has not moved although there was something for it.
    Duration stalled_for(Duration now) const { return now - moved_; }

  private:
    const bool synchronous_;
    const Duration patience_;
    bool begun_ = false;
    bool failing_ = false;
    WalPosition archived_;
    WalPosition acknowledged_;
    Duration moved_{};
};

} // namespace holdfast::postgres
