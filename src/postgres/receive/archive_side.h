// The repository's side of a receiver: opened as soon as that can be, held against the server, shipped to.
#pragma once

#include "postgres/receive/receive_wal.h"
#include "postgres/server/socket_wait.h"

#include <condition_variable>
#include <exception>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>

namespace holdfast::postgres {

// While the repository is away, the spool fills and this tries again, with an alarm. Nothing is stored before
// the repository has said that the log is of the cluster that the source is. Thread-safe.
class ArchiveSide {
  public:
    // Begins to open on a thread of its own. `earlier`: what the run before has left. What is given must
    // outlive it.
    ArchiveSide(OpenArchive open, const ReceiveSettings& settings, WalSpool& spool,
                const std::optional<ReceiveState>& earlier, Alarms& alarms, Logger& logger);
    ~ArchiveSide();

    // The log is of this cluster. What is said after the first time must be the same.
    void meet(std::uint64_t system_identifier);
    // Something was appended to the spool. `hurry`: the server waits for it to be durable.
    void notice(bool hurry = false);
    // Throws the error after which going on is of no use: another cluster; a repository that was never there.
    void rethrow_if_hopeless() const;

    // Waits until it is known that the log belongs here. False when the repository does not answer,
    // `patience` is over before, or a stop was requested; throws as rethrow_if_hopeless.
    bool wait_until_known(Duration patience, const std::stop_token& stop) const;
    bool known() const;
    // What is in the spool may be acknowledged in place of the archive: it is of the right cluster.
    bool vouches_for_spool() const;

    // Raised when something was stored.
    const WakeEvent& stored() const { return stored_; }

    // Empty while the repository is not open.
    std::optional<WalArchive> archive() const;
    std::string archive_name() const; // its id; "" while it is not known
    ShippedSoFar so_far() const;
    // Why nothing is stored now; empty while it is.
    std::string last_error() const;
    // Stores all that is in the spool; false when `stop` was requested before it is durable.
    bool finish(const std::stop_token& stop);

  private:
    void run(const std::stop_token& stop);
    bool open(const std::stop_token& stop);
    bool look_at_cluster(const std::stop_token& stop);
    void begin_shipping(const std::stop_token& stop);
    template <typename Attempt>
    bool try_again_and_again(const std::stop_token& stop, Attempt&& attempt);
    bool is_hopeless(const Error& error) const;
    bool wait(Duration duration, const std::stop_token& stop) const;

    const OpenArchive open_;
    const ReceiveSettings& settings_;
    WalSpool& spool_;
    Alarms& alarms_;
    Logger& logger_;
    const std::optional<ReceiveState> earlier_; // of this spool, if it had something in it
    std::shared_ptr<Repository> repository_;
    const WakeEvent stored_;

    mutable std::mutex mutex_; // of what follows
    mutable std::condition_variable_any changed_;
    std::uint64_t system_identifier_ = 0;
    bool appended_ = false;
    bool known_ = false;
    std::string last_error_;
    std::exception_ptr hopeless_;
    std::optional<WalArchive> archive_;
    std::unique_ptr<WalShipper> shipper_;

    std::jthread thread_; // last: it uses the rest
};

} // namespace holdfast::postgres
