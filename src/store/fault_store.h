// A store that fails as planned, for tests and for trying alerts. Scripted: each planned fault says which
// operations it strikes. Seeded: each operation may fail by chance, the same for the same seed and the same
// order of operations.
#pragma once

#include "base/error.h"
#include "base/random.h"
#include "store/store_decorator.h"

#include <mutex>

namespace holdfast {

enum class FaultKind {
    fail_before, // throws `error`; nothing happened
    fail_after,  // the operation happens, then `error` is thrown: a lost answer. A listing first visits
                 // `position` objects.
    delay,       // waits `delay` on the clock, then goes on
    torn_put,    // only the first `position` bytes become the object, visibly, and `error` is thrown
    flip_bit,    // a read returns its bytes with bit `position` (modulo their number) turned over
    short_read,  // a read returns only its first `position` bytes
    disk_full,   // a put fails with Error(no_space); other operations are not struck
    read_only,   // a verb that changes something fails with Error(read_only); others are not struck
    die_before,  // throws ProcessDied; nothing happened
    die_after,   // the operation happens, then ProcessDied is thrown
    die_torn,    // as torn_put, then ProcessDied is thrown
};
std::string_view to_string(FaultKind kind);

// Thrown where a process would have been killed. Not derived from std::exception, so that nothing handles it
// by accident. Once thrown, every further operation of the same FaultStore throws it too.
struct ProcessDied {
    std::uint64_t operation; // counted from 0
    StoreVerb verb;
    std::string name;
};

struct Fault {
    FaultKind kind = FaultKind::fail_before;
    // Strikes operations with this verb (any when empty) on names that begin with `name_prefix` …
    std::optional<StoreVerb> verb{};
    std::string name_prefix{};
    // … letting the first `skip` of them pass and striking the next `times`.
    std::uint64_t skip = 0;
    std::uint64_t times = 1;
    std::uint64_t position = 0;
    Duration delay = std::chrono::seconds(1);
    Error error = Error(ErrorCode::unavailable, "a planned fault", "", true);
};

// Chances in parts of 1000, for each operation.
struct FaultChances {
    unsigned fail_before = 0;
    unsigned fail_after = 0;
    unsigned delay = 0;
    unsigned flip_bit = 0;
    unsigned short_read = 0;
};

struct FaultReport {
    std::string description; // for example "fail_after on put packs/ (skip 2)"
    std::uint64_t fired = 0;
    std::uint64_t planned = 1;
};

struct StoreOperation {
    StoreVerb verb;
    std::string name;
};

// Thread-safe. Operations are numbered in the order in which they begin.
class FaultStore final : public StoreDecorator {
  public:
    // `clock` serves delays.
    explicit FaultStore(std::shared_ptr<Store> inner, Clock& clock = system_clock());

    // Adds a fault. When several strike one operation, the one planned first wins; the others count as passed
    // by.
    void plan(Fault fault);
    // Kills at operation number `operation`, counted from 0 over all verbs: run once without faults, read
    // operation_count(), then run once for each number below it.
    void die_at(std::uint64_t operation, FaultKind kind = FaultKind::die_before,
                std::uint64_t torn_bytes = 0);
    // From now on operations that no planned fault strikes may fail by chance.
    void set_chances(FaultChances chances, std::uint64_t seed);
    // Removes all faults and chances; a dead process lives again.
    void heal();

    // Every planned fault with how often it fired.
    std::vector<FaultReport> reports() const;
    // Descriptions of the planned faults that never fired: a test expects this to be empty.
    std::vector<std::string> unfired() const;
    // How many operations failed by chance.
    std::uint64_t chance_faults() const;
    std::uint64_t operation_count() const;
    std::vector<StoreOperation> operations() const;
    bool dead() const;

    using Store::put;
    PutResult put(const std::string& name, std::span<const ByteView> parts, const PutOptions& put_options,
                  const CallOptions& options) override;
    std::optional<Bytes> get(const std::string& name, ByteRange range, const CallOptions& options) override;
    void list(const std::string& prefix, const std::string& after,
              const std::function<bool(const ObjectInfo&)>& visit, const CallOptions& options) override;
    std::optional<Bytes> get_version(const std::string& name, const std::string& version, ByteRange range,
                                     const CallOptions& options) override;

  protected:
    void around(StoreCall& call, const std::function<void()>& body) override;

  private:
    struct Planned {
        Fault fault;
        std::optional<std::uint64_t> operation; // strikes this one only
        std::uint64_t passed = 0;
        std::uint64_t fired = 0;
    };
    struct Strike {
        std::optional<Fault> fault;
        ProcessDied death;
    };

    Strike begin(StoreVerb verb, const std::string& name);
    std::optional<Fault> by_chance(StoreVerb verb);
    [[noreturn]] void die(const Strike& strike);
    void before(const Strike& strike, const CallOptions& options);
    void after(const Strike& strike);
    std::optional<Bytes> read(StoreVerb verb, const std::string& name, const CallOptions& options,
                              const std::function<std::optional<Bytes>()>& body);

    Clock& clock_;
    mutable std::mutex mutex_;
    std::vector<Planned> planned_;
    FaultChances chances_;
    std::unique_ptr<SeededRandom> random_;
    std::vector<StoreOperation> operations_;
    std::uint64_t chance_faults_ = 0;
    std::optional<ProcessDied> death_;
};

} // namespace holdfast
