#include "service/clock_check.h"

#include "base/error.h"
#include "service/clock_doubts.h"

#include <algorithm>
#include <functional>

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

bool stands(const std::vector<StatedClockDoubt>& stated, const std::string& name) {
    return std::ranges::find(stated, name, &StatedClockDoubt::name) != stated.end();
}

// May be about the clock of this machine: it shows the time at which it was found, or a later one.
bool concerns(const StatedClockDoubt& stated, Timestamp now) {
    return stated.shown <= now + tolerated_clock_difference;
}

// What is not taken, for whatever reason, is no less so for this machine.
bool try_to_state(Repository& repository, const std::function<void()>& state) {
    if (!repository.trust().may_write(repository.keys().slot(), ObjectKind::forget, RunId{})) return false;
    try {
        state();
        return true;
    } catch (const Error& error) {
        if (error.code() == ErrorCode::cancelled) throw;
        return false;
    }
}

// That the clock of this machine leapt, to all who use the repository; or that somebody has said meanwhile
// that it is right.
ClockDoubt told_to_others(Repository& repository, ClockMemory& memory, ClockDoubt doubt) {
    // Listed after the memory was read: what was stated by then is there, unless it was ended.
    const StatementList list = list_statements(repository.context());
    if (!doubt.stated.empty()) {
        if (!is_ended(repository, list, doubt.stated)) return doubt;
        memory.believe(std::move(doubt.of_others));
        memory.remember_stated({});
        return {};
    }
    const std::string name = clock_doubt_name(repository);
    if (stands(stated_clock_doubts(repository, list), name) ||
        try_to_state(repository, [&] { state_clock_doubt(repository, list, name, doubt.why); }))
        memory.remember_stated(name);
    return doubt;
}

// The clock was set back, and is believed again.
void end_stated(Repository& repository, ClockMemory& memory, const std::string& name) {
    const StatementList list = list_statements(repository.context());
    if (!stands(stated_clock_doubts(repository, list), name) ||
        try_to_state(repository, [&] { end_clock_doubt(repository, list, name); }))
        memory.remember_stated({});
}

// What another machine has stated stands for that one: it is not for this one to say that its clock is right.
void believe(Repository& repository, const StatementList& list) {
    ClockMemory memory = clock_memory(repository);
    const std::string stated_here = memory.look({}).stated;
    std::vector<std::string> ours, of_others;
    for (const StatedClockDoubt& stated : stated_clock_doubts(repository, list)) {
        if (!concerns(stated, repository.clock().now())) continue;
        const bool is_ours = stated.name == stated_here || stated.name == clock_doubt_name(repository);
        (is_ours ? ours : of_others).push_back(stated.name);
    }
    memory.believe(std::move(of_others));
    for (const std::string& name : ours) end_clock_doubt(repository, list, name);
}

} // namespace

std::optional<ClockWitness> clock_witness(const std::vector<AnnotatedSnapshot>& snapshots) {
    if (snapshots.empty()) return std::nullopt;
    constexpr std::size_t looked_at = 30;
    std::vector<Timestamp> times;
    for (const AnnotatedSnapshot& one : snapshots) times.push_back(one.snapshot.time);
    std::ranges::sort(times, std::greater());
    times.resize(std::min(times.size(), looked_at));
    ClockWitness witness{.newest = times.front()};
    // Where backups are made once a week, a week without one is nothing odd.
    for (std::size_t i = 1; i < times.size(); ++i)
        witness.tolerated = std::max(witness.tolerated, 2 * (times[i - 1] - times[i]));
    return witness;
}

ClockDoubt clock_doubt(Repository& repository, const std::optional<ClockWitness>& witness,
                       const StatementList& list) {
    ClockMemory memory = clock_memory(repository);
    ClockDoubt doubt = memory.look(witness);
    if (doubt.leapt) {
        doubt = told_to_others(repository, memory, std::move(doubt));
        if (!doubt.why.empty()) return doubt;
        return clock_doubt(repository, witness, list_statements(repository.context()));
    }
    if (doubt.why.empty() && !doubt.stated.empty()) end_stated(repository, memory, doubt.stated);
    const auto stated = stated_clock_doubts(repository, list);
    const auto other = std::ranges::find_if(stated, [&](const StatedClockDoubt& one) {
        return one.name != doubt.stated &&
               std::ranges::find(doubt.of_others, one.name) == doubt.of_others.end() &&
               concerns(one, repository.clock().now());
    });
    if (other == stated.end()) return doubt;
    return {.why = other->why, .leapt = true, .is_first = false, .stated = {}, .of_others = {}};
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

void require_believable_clock(Repository& repository, const ClockWitness& witness, const StatementList& list,
                              ClockTrust trust) {
    const Timestamp now = repository.clock().now();
    if (!trust.idle && witness.newest < now - tolerated_idle_time) {
        throw Error(
            ErrorCode::unavailable,
            fmt::format("the clock of this machine shows {}, and the newest snapshot is of {}",
                        to_rfc3339(now), to_rfc3339(witness.newest)),
            "nothing was deleted; see why nothing is backed up, or set the clock right; if both are as they "
            "should be, say --idle");
    }
    const std::optional<Timestamp> of_store = time_of_store(repository);
    if (of_store &&
        (*of_store > now + tolerated_clock_difference || *of_store < now - tolerated_clock_difference)) {
        throw Error(ErrorCode::unavailable,
                    fmt::format("the clock of this machine shows {}, and that of {} {}", to_rfc3339(now),
                                repository.store().url(), to_rfc3339(*of_store)),
                    hint);
    }
    if (trust.clock) return believe(repository, list);
    const ClockDoubt doubt = clock_doubt(repository, witness, list);
    if (doubt.why.empty() || (doubt.is_first && trust.idle)) return;
    throw Error(ErrorCode::unavailable, doubt.why,
                doubt.is_first
                    ? "nothing was deleted; when nothing was to be backed up for so long, say --idle"
                    : "nothing was deleted; set the clock right (timedatectl, chronyc tracking), or say "
                      "--trust-clock "
                      "once when it is");
}

} // namespace holdfast
