#include "service/clock_check.h"

#include "base/error.h"
#include "service/clock_memory.h"

#include <cmath>

#include <fmt/format.h>

namespace holdfast {

namespace {

constexpr const char* hint =
    "nothing was deleted; set the clock right (timedatectl, chronyc tracking) and try again";

// The store's time, or nothing when it does not tell.
std::optional<Timestamp> time_of_store(Repository& repository) {
    Store& store = repository.store();
    const std::string name = "probe/" + repository.random().id<16>().hex() + "/clock";
    store.put(name, as_bytes("clock"));
    const std::optional<ObjectInfo> object = store.head(name, {});
    try {
        store.remove(name, {});
    } catch (const Error& error) {
        // Who may not delete leaves a few bytes behind.
        if (error.code() != ErrorCode::access_denied && error.code() != ErrorCode::unsupported) throw;
    }
    if (!object || object->modified == Timestamp{}) return std::nullopt;
    return object->modified;
}

// A folder goes by the clock of the machine that it is on, mostly this one.
bool has_clock_of_its_own(const Store& store) { return store.url().starts_with("s3://"); }

void require_no_leap(Repository& repository, Timestamp newest, bool trust_clock) {
    if (trust_clock) return clock_memory(repository).believe();
    const std::string doubt = clock_doubt(repository, newest);
    if (doubt.empty()) return;
    throw Error(
        ErrorCode::unavailable, doubt,
        "nothing was deleted; set the clock right (timedatectl, chronyc tracking), or say --trust-clock "
        "once when it is");
}

} // namespace

std::string clock_doubt(Repository& repository, std::optional<Timestamp> newest) {
    ClockMemory memory = clock_memory(repository);
    std::string doubt = memory.look(newest);
    if (doubt.empty() || !has_clock_of_its_own(repository.store())) return doubt;
    const std::optional<double> offset = clock_offset_seconds(repository);
    const double tolerated = std::chrono::duration<double>(tolerated_clock_difference).count();
    if (!offset || std::abs(*offset) > tolerated) return doubt;
    memory.believe();
    return {};
}

std::optional<double> clock_offset_seconds(Repository& repository) {
    const Timestamp before = repository.clock().now();
    std::optional<Timestamp> theirs;
    try {
        theirs = time_of_store(repository);
    } catch (const Error& error) {
        if (error.code() == ErrorCode::access_denied || error.code() == ErrorCode::unsupported ||
            error.code() == ErrorCode::no_space)
            return std::nullopt;
        throw;
    }
    if (!theirs) return std::nullopt;
    // Many stores tell whole seconds, and the object was made at some time since `before`.
    const Timestamp latest = *theirs + std::chrono::seconds(1);
    const Timestamp after = repository.clock().now();
    const Duration ahead = before > latest ? before - latest : after < *theirs ? after - *theirs : Duration{};
    return std::chrono::duration<double>(ahead).count();
}

void require_believable_clock(Repository& repository, Timestamp newest, bool trust_clock) {
    const Timestamp now = repository.clock().now();
    if (!trust_clock && newest < now - tolerated_idle_time) {
        throw Error(
            ErrorCode::unavailable,
            fmt::format("the clock of this machine shows {}, and the newest snapshot is of {}",
                        to_rfc3339(now), to_rfc3339(newest)),
            "nothing was deleted; see why nothing is backed up, or set the clock right; if both are as they "
            "should be, say --trust-clock");
    }
    const std::optional<Timestamp> of_store = time_of_store(repository);
    if (of_store &&
        (*of_store > now + tolerated_clock_difference || *of_store < now - tolerated_clock_difference)) {
        throw Error(ErrorCode::unavailable,
                    fmt::format("the clock of this machine shows {}, and that of {} {}", to_rfc3339(now),
                                repository.store().url(), to_rfc3339(*of_store)),
                    hint);
    }
    require_no_leap(repository, newest, trust_clock);
}

} // namespace holdfast
