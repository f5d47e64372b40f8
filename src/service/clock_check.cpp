#include "service/clock_check.h"

#include "base/error.h"

#include <algorithm>

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
        // Who may not delete leaves it to the next collection.
        if (error.code() != ErrorCode::access_denied && error.code() != ErrorCode::unsupported) throw;
    }
    if (!object || object->modified == Timestamp{}) return std::nullopt;
    return object->modified;
}

} // namespace

void require_believable_clock(Repository& repository, std::span<const Snapshot> snapshots) {
    const Timestamp now = repository.clock().now();
    const auto newest = std::ranges::max_element(snapshots, {}, &Snapshot::time);
    if (newest != snapshots.end() && newest->time > now + tolerated_clock_difference) {
        throw Error(ErrorCode::unavailable,
                    fmt::format("the clock of this machine shows {}, and there is a snapshot of {}, of '{}'",
                                to_rfc3339(now), to_rfc3339(newest->time), newest->source),
                    hint);
    }
    const std::optional<Timestamp> of_store = time_of_store(repository);
    if (!of_store) return;
    if (*of_store > now + tolerated_clock_difference || *of_store < now - tolerated_clock_difference) {
        throw Error(ErrorCode::unavailable,
                    fmt::format("the clock of this machine shows {}, and that of {} {}", to_rfc3339(now),
                                repository.store().url(), to_rfc3339(*of_store)),
                    hint);
    }
}

} // namespace holdfast
