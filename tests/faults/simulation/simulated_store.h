// The object store of the simulation, as far from kind as a real one may be.
//
// The objects are shared; each actor has its own connection. On a connection, answers get lost, operations
// that were answered with an error land later, operations that succeeded land a second time, the actor is
// killed or sleeps for hours before or after an operation happens, and listings come in pages between which
// everything may change; what comes while one is under way it may show or not. A put that is to happen only
// if the name is free looks at the moment when it lands.
#pragma once

#include "faults/simulation/scheduler.h"
#include "store/store.h"

#include <map>
#include <memory>
#include <set>
#include <string>

namespace holdfast::simulation {

// How nasty a schedule is: chances in a thousand operations.
struct Nastiness {
    std::uint64_t lost_request = 0;   // fails, never happens
    std::uint64_t lost_answer = 0;    // happens, fails
    std::uint64_t delayed = 0;        // fails, happens later
    std::uint64_t repeated = 0;       // happens, and happens again later
    std::uint64_t pause = 0;          // a sleep of up to `longest_pause` before it happens, or after
    std::uint64_t pause_deciding = 0; // the same, before operations that decide, and at the slow place
    std::string slow_place;           // "list verdicts/": operations that begin so; none when empty
    Duration longest_pause{};
    Duration longest_delay{};
};

struct StoredObject {
    std::shared_ptr<const Bytes> bytes;
    Timestamp modified{};
};

// What lies in the store. Not thread-safe: one actor runs at a time.
struct Objects {
    std::map<std::string, StoredObject> by_name;
    // Until when nobody can remove them.
    std::map<std::string, Timestamp> locks;
    // As stores with versions do: a delete of what is locked is not refused, and nobody finds it any more.
    bool hides_locked = false;
    // Of every run whose commit was sent off, whatever became of it.
    std::set<std::string> commits_tried;
    bool is_locked(const std::string& name, Timestamp now) const {
        const auto lock = locks.find(name);
        return lock != locks.end() && lock->second > now;
    }
    std::uint64_t operations = 0;
    // Tells every operation as it lands; for --steps.
    std::function<void(const std::string&)> trace;
};

class Connection final : public Store {
  public:
    // Dies at operation number `dies_at`, counted from 0, and is dead from then on; never when it is
    // negative.
    Connection(Objects& objects, Scheduler& scheduler, std::string actor, Nastiness nastiness,
               std::int64_t dies_at)
        : objects_(objects),
          scheduler_(scheduler),
          actor_(std::move(actor)),
          nastiness_(nastiness),
          dies_at_(dies_at) {}

    using Store::put;
    std::string url() const override { return "simulation:"; }
    StoreCapabilities capabilities() const override;
    PutResult put(const std::string& name, std::span<const ByteView> parts, const PutOptions& put_options,
                  const CallOptions& options) override;
    std::optional<Bytes> get(const std::string& name, ByteRange range, const CallOptions& options) override;
    std::optional<ObjectInfo> head(const std::string& name, const CallOptions& options) override;
    void list(const std::string& prefix, const std::string& after,
              const std::function<bool(const ObjectInfo&)>& visit, const CallOptions& options) override;
    void remove(const std::string& name, const CallOptions& options) override;
    void retain(const std::string& name, const Retention& retention, const CallOptions& options) override;
    std::optional<Retention> retention(const std::string& name, const CallOptions& options) override;

  private:
    enum class Fate { normal, lost_request, lost_answer, delayed, repeated };
    Fate begin(const std::string& what, bool deciding);
    void read(const std::string& what, bool deciding = false);
    void end();
    PutResult land_put(const std::string& name, const std::shared_ptr<const Bytes>& bytes,
                       const PutOptions& put_options, std::string_view how);
    void land_lock(const std::string& name, const Retention& retention, std::string_view how);
    Timestamp time() const { return start_of_time() + scheduler_.now(); }
    void land_remove(const std::string& name, std::string_view how);
    void later(std::function<void()> body);
    void trace(std::string_view how, std::string_view what) const;

    Objects& objects_;
    Scheduler& scheduler_;
    const std::string actor_;
    const Nastiness nastiness_;
    const std::int64_t dies_at_;
    std::int64_t operations_ = 0;
};

} // namespace holdfast::simulation
