#include "server/gather_facts.h"

#include <utility>

namespace holdfast {

namespace {

// So many of a source are looked through, each minute.
constexpr std::size_t most_restores = 50;

// How far this clock is ahead of the catalog's, in seconds; the answer took as long there as back.
std::optional<double> catalog_clock_offset(Catalog& catalog, Clock& clock) {
    const Timestamp asked = clock.now();
    const std::optional<Timestamp> there = catalog.with([](Database& database) { return database.time(); });
    if (!there) return std::nullopt;
    return std::chrono::duration<double>(asked + (clock.now() - asked) / 2 - *there).count();
}

// What the last restore took that started a server: those since say nothing of that.
std::optional<double> last_recovery(Operations& operations, const std::string& source) {
    const OperationFilter restores{
        .kind = "restore", .source = source, .states = {OperationState::succeeded}, .limit = most_restores};
    for (const Operation& listed : operations.list(restores)) {
        const auto restore = operations.find(listed.id);
        if (!restore || !restore->result) continue;
        if (const auto seconds = recovery_seconds_of(*restore->result)) return seconds;
    }
    return std::nullopt;
}

} // namespace

Facts gather_facts(const KnownToServer& known) {
    Facts facts{.at = known.clock.now()};
    if (known.view) {
        facts = known.view->measurements.facts(known.clock.now());
    } else {
        for (const MeasuredSource& source : known.sources)
            facts.sources.push_back({.source = source.name, .kind = source.kind});
        facts.repositories.emplace_back();
        facts.repositories.front().name = "repository";
    }
    // What was seen before it went out of reach says nothing of now.
    if (!known.view || !known.look_problem.empty()) {
        facts.repositories.front().reachable = known.look_problem.empty();
        facts.repositories.front().problem = known.look_problem;
        for (SourceFacts& source : facts.sources) source.known = false;
    }
    for (SourceFacts& source : facts.sources) {
        if (source.retention_blocked.empty()) source.retention_blocked = known.retention_waits;
        if (source.retention_blocked.empty() && known.view)
            source.retention_blocked =
                known.view->clock_doubt ? *known.view->clock_doubt : known.view->clock_doubt.error();
        source.operations = operation_facts(known.operations, source.source);
        source.recovery_seconds = last_recovery(known.operations, source.source);
    }
    facts.repositories.front().operations = repository_operation_facts(known.operations);
    facts.operations = known.operations.counts();
    ServerFacts server = known.server;
    server.clock_compared = known.view && known.view->clock_compared;
    if (known.view) {
        server.store_clock_offset_seconds = known.view->clock_offset_seconds;
        // What could not be found out is no doubt.
        if (known.view->clock_doubt) server.clock_doubt = *known.view->clock_doubt;
    }
    server.database_clock_offset_seconds = catalog_clock_offset(known.catalog, known.clock);
    facts.servers.push_back(std::move(server));
    return facts;
}

} // namespace holdfast
