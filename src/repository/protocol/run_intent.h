// The sign that a run is under way: intents/<run>-<beat>, put at its start and again while it lives.
#pragma once

#include "repository/protocol/context.h"
#include "repository/run_context.h"

#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

namespace holdfast {

enum class RunRole { writer, collector };

// The body of an intent: JSON.
struct IntentBody {
    RunRole role = RunRole::writer;
    std::string what; // for people
    Timestamp time{};
    bool operator==(const IntentBody&) const = default;
};
Bytes encode_intent(const IntentBody& intent);
// Throws Error(corrupt).
IntentBody decode_intent(ByteView json);

// Of the beats the first and the newest stay, as far as the store lets us remove the others, so that a run of
// many hours leaves as quickly as any. Thread-safe. The context and the run must outlive it.
class RunIntent {
  public:
    // Puts the first intent. A thread puts a beat every `beat_interval` until the end; zero starts none.
    RunIntent(const RepositoryContext& context, const RunContext& run, RunRole role, std::string what,
              Duration beat_interval);
    ~RunIntent();

    void beat();
    // The name of the newest beat: what the store says of its time tells the store's clock.
    std::string newest_name() const;

  private:
    void beat_until_stopped(std::stop_token stop, Duration interval);
    void remove_outdated_beat();

    const RepositoryContext& context_;
    const RunContext& run_;
    const RunRole role_;
    const std::string what_;
    mutable std::mutex mutex_;
    std::uint32_t next_beat_ = 0;
    bool removes_ = true; // until the store forbids it
    std::jthread thread_; // last: joined before the rest goes
};

// A run of which there are intents, as the store shows it.
struct ListedRun {
    RunId run;
    std::uint32_t newest_beat = 0;
    Timestamp newest_time{}; // by the store's clock
    std::vector<std::string> names;
};
std::vector<ListedRun> list_runs(Store& store);

} // namespace holdfast
