// Claims operations from the catalog, keeps them while they are carried out, and ends them.
#pragma once

#include "base/log.h"
#include "base/random.h"
#include "execution/executor.h"

#include <atomic>
#include <condition_variable>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <set>
#include <thread>

namespace holdfast {

struct OperationRunnerSettings {
    std::string owner; // of this process alone: a server that was started again is another
    OperationLimits limits{};
    Duration lease = std::chrono::seconds(30);
    Duration renew_every =
        std::chrono::seconds(2); // how late progress is shown, and a wish to cancel is heard
    Duration look_again = std::chrono::seconds(1); // how often the catalog is asked for work
    // That fail: one that is interrupted, because its server ends or is lost, is no failure.
    std::int64_t most_attempts = 5;
    Duration first_retry = std::chrono::seconds(30); // doubled with each failure …
    Duration longest_retry = std::chrono::minutes(30);
    // Kinds that two servers may carry out at the same time without harm: they go on while the catalog is
    // away. What is of no such kind stops when its lease ends.
    std::set<std::string> harmless_twice{"backup", "verify", "retention", "forget", "prune"};
    // Called, from the thread that carried it out, with each outcome before anybody is told of it; not of one
    // that is given up. Must not throw, and be back soon.
    std::function<void(const Operation& operation, const ExecutionOutcome& outcome)> before_end{};
    // Called with each operation that ends here for good, in the transaction that ends it: what follows from
    // its end is there with it, or neither is. Called again when the transaction has to be tried again.
    std::function<void(Database&, const Operation& operation, const ExecutionOutcome& outcome)> with_end{};
    // Called, from the thread that carried it out, with each operation that has ended here.
    std::function<void(const Operation& operation, const ExecutionOutcome& outcome)> on_end{};
};

// The arguments must outlive it.
class OperationRunner {
  public:
    OperationRunner(Operations& operations, Executor& executor, Clock& clock, Random& random, Logger& logger,
                    OperationRunnerSettings settings);
    ~OperationRunner();

    // Works until `stop`; then what is under way is asked to stop too, and is put back for whoever comes
    // next. A catalog that cannot be reached is waited for.
    void run(const std::stop_token& stop);
    // Looks for work at once.
    void wake();
    std::size_t running() const;

  private:
    class Run;
    void claim_what_can_be(const std::stop_token& stop);
    void keep();
    void remove_ended();
    void give_up(const Operation& operation);
    void end(Run& run, const ExecutionOutcome& outcome, const std::stop_token& stop);
    bool settle(const Operation& operation, const ExecutionOutcome& outcome, bool interrupted);
    Duration wait_before(std::int64_t failures) const;
    void tell_of(const Error& error);

    Operations& operations_;
    Executor& executor_;
    Clock& clock_;
    Random& random_;
    Logger& logger_;
    OperationRunnerSettings settings_;
    std::mutex settling_;
    mutable std::mutex mutex_;
    std::condition_variable_any changed_;
    bool woken_ = false;
    std::list<std::unique_ptr<Run>> runs_;
    std::atomic<bool> told_{false}; // that the catalog is away
};

} // namespace holdfast
