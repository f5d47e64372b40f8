// Logs of sources: what is written to them, and what of them must be there.
#include "base/error.h"
#include "faults/simulation/world.h"
#include "repository/log/log_path.h"
#include "repository/log/log_reader.h"

#include <algorithm>

#include <fmt/format.h>

namespace holdfast::simulation {

namespace {

Bytes content_of(std::uint64_t begin, std::uint64_t end) {
    Bytes content;
    for (std::uint64_t at = begin; at < end; ++at) content.push_back(static_cast<Byte>(at * 7 + at / 256));
    return content;
}

// How far what was stored leads from `begin`, had nothing been deleted.
std::uint64_t stored_from(const SimulatedLog& log, std::uint64_t begin) {
    std::uint64_t reached = begin;
    for (bool further = true; further;) {
        further = false;
        for (const LogRange& range : log.stored) {
            if (range.begin > reached || range.end <= reached) continue;
            reached = range.end;
            further = true;
        }
    }
    return reached;
}

} // namespace

ArchiveId archive_of(const World& world, const std::string& source) {
    const KeyRing& keys = world.keys.writers->ring;
    return archive_id(domain_id(keys.domain()), keys.identity_key().view(), source, "1");
}

void put_slice(World& world, LogWriter& log, const std::string& source, std::uint64_t begin,
               std::uint64_t end) {
    const Bytes content = content_of(begin, end);
    const LogRange range{1, begin, end};
    log.put(log.seal({.range = range, .content = content}, world.compressor));
    world.logs[source].stored.push_back(range);
}

void receive_log(World& world, const Participant& receiver, const std::string& source) {
    SimulatedLog& log = world.logs[source];
    const std::uint64_t begin = log.end;
    log.end += 20;
    const std::uint64_t middle = begin + 1 + world.scheduler.random().below(19);
    const bool in_pieces = world.scheduler.chance(400);
    try {
        LogWriter archive(receiver.context(), archive_of(world, source), 1);
        if (in_pieces) {
            put_slice(world, archive, source, begin, middle);
            put_slice(world, archive, source, middle, begin + 20);
        }
        put_slice(world, archive, source, begin, begin + 20);
    } catch (const Error& error) {
        world.trace(receiver.name(), "gave up: " + error.message());
    }
}

void check_log(World& world, const Participant& self, const Snapshot& snapshot, const std::string& when) {
    if (!snapshot.log) return;
    const std::uint64_t begin = snapshot.log->range.begin;
    const SimulatedLog& written = world.logs[snapshot.source];
    const std::uint64_t needed = begin < written.released
                                     ? snapshot.log->range.end
                                     : std::max(snapshot.log->range.end, stored_from(written, begin));
    const LogReader reader(self.context());
    const std::vector<LogSliceId> slices = list_slices(self.context().store, snapshot.log->archive);
    const std::vector<PathStep> path = find_path(slices, {1, begin, needed});
    const std::uint64_t reached = path.empty() ? begin : path.back().end;
    if (reached < needed) {
        world.lose(fmt::format("{}: snapshot {} needs the log from {} to {}, and it ends at {}", when,
                               snapshot.id.hex(), begin, needed, reached));
        return;
    }
    for (const PathStep& step : path) {
        if (!world.read_slices.insert(step.slice).second) continue;
        const LogRange& range = step.slice.range;
        if (reader.content(step.slice).bytes != content_of(range.begin, range.end))
            world.lose(fmt::format("{}: {} is not what was written", when, step.slice.name()));
    }
}

} // namespace holdfast::simulation
