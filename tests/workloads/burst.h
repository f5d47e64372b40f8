// Several sessions at work at once, for so many statements each.
#pragma once

#include "support/postgres_server.h"
#include "workloads/random_statements.h"

#include <atomic>
#include <cstdint>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace holdfast::workloads {

struct BurstSettings {
    unsigned sessions = 3;
    unsigned statements = 10; // of each session, more or less
    std::uint64_t seed = 0;   // what each of them does follows from it, but for who comes first
    std::function<void(const std::string&)> narrate; // of what is done; may be empty. Called by all threads
};

// Begins at once. A session that loses its server ends. What a server must never say (an internal error,
// damaged data, a missing file) is kept as a failure; all else is a day like any other.
class Burst {
  public:
    Burst(const test::PostgresServer& server, BurstSettings settings);
    ~Burst() = default;

    // Waits for all sessions to end.
    void finish();
    std::uint64_t done() const { return done_; }
    std::uint64_t refused() const { return refused_; }
    // A line for each; empty when there are none. After finish().
    const std::string& failures() const { return failures_; }

  private:
    void session(unsigned number);
    void run_statements(postgres::Connection& connection, unsigned number,
                        const std::vector<std::string>& statements);

    const test::PostgresServer& server_;
    const BurstSettings settings_;
    std::atomic<std::uint64_t> done_ = 0;
    std::atomic<std::uint64_t> refused_ = 0;
    std::mutex mutex_;
    std::string failures_;
    std::vector<std::jthread> threads_; // last: they use the rest
};

} // namespace holdfast::workloads
