// A protected server under load while everything around it is killed, and proof, again and again, that no
// transaction that was acknowledged is lost.
#pragma once

#include "base/random.h"
#include "support/protected_source.h"

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

namespace holdfast::soak {

struct SoakSettings {
    std::chrono::seconds duration{120};
    std::uint64_t seed = 1;
    int version = 15;
    unsigned writers = 4;
};

// How much happened.
struct SoakCounts {
    std::uint64_t acknowledged = 0, checked = 0, recoveries = 0;
    std::map<std::string, std::uint64_t> events;  // kills and failures, by what was struck
    std::map<std::string, std::uint64_t> reasons; // what programs that failed said, ids and numbers apart
};

// What writers were told: of each, the transactions that the server acknowledged, and when.
class Acknowledged {
  public:
    void add(unsigned writer, std::int64_t number);
    // The highest number of each writer that was acknowledged at or before `time`; those below it were too.
    std::map<unsigned, std::int64_t> until(Timestamp time) const;
    std::uint64_t count() const;

  private:
    mutable std::mutex mutex_;
    std::map<unsigned, std::vector<std::pair<Timestamp, std::int64_t>>> told_;
};

class Soak {
  public:
    explicit Soak(const SoakSettings& settings);
    ~Soak();
    // Throws std::runtime_error with what was lost, or what else must not be.
    void run();
    const SoakCounts& counts() const { return counts_; }

  private:
    using Program = std::unique_ptr<test::RunningProgram>;

    void begin();
    void strike();
    void set_synchronous(bool synchronous);
    void prove();
    void write(unsigned writer, const std::stop_token& stop);
    Program start(std::vector<std::string> words) const;
    void start_receiver();
    void end_receiver(int signal);
    void keep_receiver();
    void keep_busy(Program& program, std::vector<std::string> words, const std::string& what);
    void look_after(Program& program, const std::string& what);
    void forget_old();
    void wait(std::chrono::milliseconds duration);
    std::map<unsigned, std::int64_t> must_be_there(std::string& why) const;

    const SoakSettings settings_;
    SeededRandom random_;
    SoakCounts counts_;
    std::unique_ptr<test::PostgresServer> server_;
    std::unique_ptr<test::ProtectedSource> source_;
    bool synchronous_ = false;
    bool repository_away_ = false;
    Program receiver_, backup_, prune_;
    Acknowledged acknowledged_;
    int recoveries_ = 0;
    std::vector<std::jthread> writers_; // last
};

} // namespace holdfast::soak
