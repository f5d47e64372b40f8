#include "server/backup_recovery_listings.h"

#include "base/error.h"
#include "base/json_text.h"
#include "server/snapshot_routes.h"
#include "service/back_up_postgres.h"
#include "service/snapshot_json.h"

#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

namespace holdfast {

namespace {

using api::Call;
using api::Permission;
using api::Response;
using nlohmann::json;
using Snapshots = std::vector<AnnotatedSnapshot>;

constexpr std::size_t most_at_once = 1000;

Response answer(const json& value) { return api::json_response(200, json_text(value)); }

bool is_kind(const AnnotatedSnapshot& one, const std::string& kind) { return one.snapshot.kind == kind; }

std::string status_of(const Snapshot& snapshot) {
    return snapshot.state == SnapshotState::complete ? "completed" : std::string(to_string(snapshot.state));
}

std::string type_of(const Snapshot& snapshot) {
    const bool incremental =
        snapshot.kind == postgres::snapshot_kind ? was_incremental(snapshot) : snapshot.parent.has_value();
    return incremental ? "incremental" : "full";
}

json backup_json(const AnnotatedSnapshot& one) {
    json value = to_json(one);
    value["status"] = status_of(one.snapshot);
    value["type"] = type_of(one.snapshot);
    return value;
}

// A parameter that is one of `words`, if it is there.
std::optional<std::string> choice(const Call& call, std::string_view name,
                                  std::initializer_list<std::string_view> words) {
    const auto text = call.request().parameter(name);
    if (!text) return std::nullopt;
    if (std::ranges::find(words, *text) != words.end()) return std::string(*text);
    throw Error(ErrorCode::usage, fmt::format("{}: must be one of {}", name, fmt::join(words, ", ")))
        .with_field(std::string(name));
}

Response list_backups(Call& call, const Snapshots& snapshots, const std::string& kind) {
    call.expect_parameters({"status", "type", "limit", "offset"});
    const auto status = choice(call, "status", {"completed", "partial", "unfinished"});
    const auto type = choice(call, "type", {"full", "incremental"});
    const std::uint64_t limit = call.number("limit", 1, most_at_once).value_or(100);
    const std::uint64_t offset = call.number("offset", 0, UINT32_MAX).value_or(0);
    std::uint64_t total = 0;
    json items = json::array();
    for (const AnnotatedSnapshot& one : snapshots) {
        if (!is_kind(one, kind) || (status && status_of(one.snapshot) != *status) ||
            (type && type_of(one.snapshot) != *type))
            continue;
        if (total >= offset && items.size() < limit) items.push_back(backup_json(one));
        ++total;
    }
    return answer({{"backups", std::move(items)}, {"total", total}, {"limit", limit}, {"offset", offset}});
}

Response backup_statistics(const ProtectionStatus& measurements, const std::string& kind) {
    std::uint64_t count = 0, complete = 0, bytes = 0, added = 0;
    double seconds = 0;
    json newest;
    for (const AnnotatedSnapshot& one : measurements.snapshots) {
        if (!is_kind(one, kind)) continue;
        const Snapshot& snapshot = one.snapshot;
        if (newest.is_null()) newest = to_rfc3339(snapshot.end);
        ++count;
        if (snapshot.state == SnapshotState::complete) ++complete;
        bytes += snapshot.totals.bytes;
        added += snapshot.totals.stored_bytes;
        seconds += std::chrono::duration<double>(snapshot.end - snapshot.time).count();
    }
    return answer({{"total", count},
                   {"completed", complete},
                   {"partial", count - complete},
                   {"size_bytes", bytes},
                   {"stored_bytes", added},
                   {"average_duration_seconds", count == 0 ? 0.0 : seconds / static_cast<double>(count)},
                   {"newest", newest}});
}

json verification_json(const AnnotatedSnapshot& one) {
    json results = json::array();
    for (const Statement& statement : one.standing.verifications)
        results.push_back({{"time", to_rfc3339(statement.time)},
                           {"what", statement.name},
                           {"result", statement.value.value_or("")}});
    const Statement* stands = standing_verification(one.standing);
    return {{"snapshot", one.snapshot.id.hex()},
            {"source", one.snapshot.source},
            {"verified", stands != nullptr && !is_damaged(one.standing)},
            {"result", stands != nullptr ? json(stands->value.value_or("")) : json()},
            {"verifications", results}};
}

Response verification_statistics(const Snapshots& snapshots) {
    std::uint64_t never = 0, damaged = 0;
    for (const AnnotatedSnapshot& one : snapshots) {
        if (one.standing.verifications.empty()) ++never;
        if (is_damaged(one.standing)) ++damaged;
    }
    return answer({{"total", snapshots.size()},
                   {"verified", snapshots.size() - never - damaged},
                   {"never_verified", never},
                   {"damaged", damaged}});
}

// What a recovery to this time would begin with, of each source.
Response recovery_point(const RepositoryView& view, Timestamp time) {
    json sources = json::array();
    for (const SourceMeasurement& source : view.measurements.sources) {
        const SourceFacts& facts = source.facts;
        const bool in_gap = std::ranges::any_of(
            facts.gaps, [&](const GapFacts& gap) { return time > gap.from && time < gap.to; });
        const bool recoverable = facts.window_start && facts.window_end && time >= *facts.window_start &&
                                 time <= *facts.window_end && !in_gap;
        const auto snapshot =
            std::ranges::find_if(view.measurements.snapshots, [&](const AnnotatedSnapshot& one) {
                return one.snapshot.source == facts.source && one.snapshot.end <= time &&
                       one.snapshot.state == SnapshotState::complete && !is_damaged(one.standing);
            });
        const bool found = snapshot != view.measurements.snapshots.end();
        sources.push_back(
            {{"source", facts.source},
             {"kind", facts.kind},
             {"recoverable_to_the_second", recoverable},
             {"nearest_snapshot", found ? json(snapshot->snapshot.id.hex()) : json()},
             {"nearest_snapshot_time", found ? json(to_rfc3339(snapshot->snapshot.end)) : json()}});
    }
    return answer({{"timestamp", to_rfc3339(time)}, {"sources", sources}});
}

Response lifecycle_statistics(const ProtectionStatus& measurements) {
    std::uint64_t held = 0, expiring = 0;
    std::map<std::string, std::uint64_t> classes;
    for (const AnnotatedSnapshot& one : measurements.snapshots) {
        if (!one.standing.holds.empty()) ++held;
        if (one.standing.tags.contains("expires")) ++expiring;
        const auto named = one.standing.tags.find("class");
        ++classes[named == one.standing.tags.end() ? "" : named->second];
    }
    json blocked = json::array();
    for (const SourceMeasurement& source : measurements.sources)
        if (!source.facts.retention_blocked.empty())
            blocked.push_back({{"source", source.facts.source}, {"why", source.facts.retention_blocked}});
    return answer({{"total", measurements.snapshots.size()},
                   {"held", held},
                   {"with_time_to_live", expiring},
                   {"by_class", classes},
                   {"blocked", blocked}});
}

// What `tell` makes of the view, for those who may read.
template <typename Tell>
void add_read(api::Router& router, const RepositoryObserver& observer, const std::string& path,
              const std::string& name, Tell tell) {
    router.add({.method = "GET",
                .path = path,
                .name = name,
                .permission = Permission::read,
                .handle = [&observer, tell](Call& call) { return tell(call, *observer.require_view()); }});
}

} // namespace

void add_backup_listing_routes(api::Router& router, const RepositoryObserver& observer) {
    const std::string base = "/v1/backup-recovery";
    const struct {
        const char* kind;
        const char* list;
        const char* list_name;
        const char* one;
        const char* one_name;
        const char* statistics;
        const char* statistics_name;
    } of_kinds[] = {{"postgresql", "/database/backups", "listDatabaseBackups", "/database/backups/{id}",
                     "getDatabaseBackup", "/database/statistics", "getDatabaseStatistics"},
                    {"documents", "/documents/backups", "listDocumentBackups", "/documents/{id}",
                     "getDocumentBackup", "/documents/statistics", "getDocumentStatistics"}};
    for (const auto& of : of_kinds) {
        const std::string kind = of.kind;
        add_read(router, observer, base + of.list, of.list_name,
                 [kind](Call& call, const RepositoryView& view) {
                     return list_backups(call, view.measurements.snapshots, kind);
                 });
        add_read(router, observer, base + of.one, of.one_name,
                 [kind](Call& call, const RepositoryView& view) {
                     call.expect_parameters({});
                     const auto& found = find_snapshot(view, call.path_parameter("id"));
                     if (!is_kind(found, kind))
                         throw Error(ErrorCode::not_found,
                                     fmt::format("snapshot '{}' is of kind {}", found.snapshot.id.hex(),
                                                 found.snapshot.kind));
                     return answer(backup_json(found));
                 });
        add_read(router, observer, base + of.statistics, of.statistics_name,
                 [kind](Call& call, const RepositoryView& view) {
                     call.expect_parameters({});
                     return backup_statistics(view.measurements, kind);
                 });
    }
    for (const auto& [path, name] :
         {std::pair{"/verification/{id}", "getVerification"},
          std::pair{"/documents/backups/{id}/verify", "getDocumentVerification"}}) {
        add_read(router, observer, base + path, name, [](Call& call, const RepositoryView& view) {
            call.expect_parameters({});
            return answer(verification_json(find_snapshot(view, call.path_parameter("id"))));
        });
    }
    add_read(router, observer, base + "/verification/lifecycle-stats", "getVerificationLifecycle",
             [](Call& call, const RepositoryView& view) {
                 call.expect_parameters({});
                 return verification_statistics(view.measurements.snapshots);
             });
    add_read(router, observer, base + "/recovery/point-in-time/{timestamp}", "getRecoveryPoint",
             [](Call& call, const RepositoryView& view) {
                 call.expect_parameters({});
                 try {
                     return recovery_point(view, from_rfc3339(call.path_parameter("timestamp")));
                 } catch (const Error& error) {
                     throw error.with_field("timestamp");
                 }
             });
    add_read(router, observer, base + "/retention/lifecycle-stats", "getRetentionLifecycle",
             [](Call& call, const RepositoryView& view) {
                 call.expect_parameters({});
                 return lifecycle_statistics(view.measurements);
             });
}

} // namespace holdfast
