#include "server/snapshot_routes.h"

#include "base/error.h"
#include "base/json_text.h"
#include "server/annotation_routes.h"
#include "server/retention_forecast_route.h"
#include "service/snapshot_json.h"

#include <algorithm>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace holdfast {

namespace {

using api::Call;
using api::Permission;
using api::Response;
using nlohmann::json;

constexpr std::size_t shortest_id = 4;

Response answer(const json& value, int status = 200) { return api::json_response(status, json_text(value)); }

// The cursor is the id of the last one that was shown: newer ones that come meanwhile move nothing.
Response list_page(Call& call, const ProtectionStatus& seen) {
    const std::vector<AnnotatedSnapshot>& snapshots = seen.snapshots;
    call.expect_parameters({"source", "limit", "cursor"});
    const auto source = call.request().parameter("source");
    const api::Page page = call.page("snapshots");
    auto at = snapshots.begin();
    if (!page.after.empty()) {
        at = std::ranges::find(snapshots, id_from_hex<sizeof(RunId)>(page.after),
                               [](const AnnotatedSnapshot& one) { return std::optional(one.snapshot.id); });
        if (at == snapshots.end())
            throw Error(ErrorCode::usage, "the snapshot that this cursor stands at is gone",
                        "begin again without it")
                .with_field("cursor");
        ++at;
    }
    json items = json::array();
    for (; at != snapshots.end() && items.size() < page.limit; ++at)
        if (!source || at->snapshot.source == *source) items.push_back(to_json(*at));
    const bool more = std::any_of(at, snapshots.end(), [&](const AnnotatedSnapshot& one) {
        return !source || one.snapshot.source == *source;
    });
    json next;
    if (more) next = Call::cursor("snapshots", items.back()["id"].get<std::string>());
    return answer({{"items", std::move(items)},
                   {"next", next},
                   {"problems", seen.unread},
                   {"unreadable", seen.unreadable}});
}

// As it is in the list, and all that was said of it, and until when it lives.
Response one_snapshot(Call& call, const SnapshotServices& services) {
    call.expect_parameters({});
    const auto view = services.observer.require_view();
    const auto& [snapshot, standing] = find_snapshot(*view, call.path_parameter("id"));
    json verifications = json::array();
    for (const Statement& statement : standing.verifications)
        verifications.push_back({{"time", to_rfc3339(statement.time)},
                                 {"what", statement.name},
                                 {"result", statement.value.value_or("")}});
    json value = to_json(AnnotatedSnapshot{snapshot, standing});
    value["standing"] = {{"holds", holds_json(snapshot, standing.holds)},
                         {"marks", standing.marks},
                         {"verifications", verifications}};
    value["retention"] = services.fates.of(view, snapshot);
    return answer(value);
}

// Also of a snapshot that is gone, and of one that was forgotten a moment ago: the repository itself is
// asked. By the whole id alone, which another snapshot never gets.
Response one_forget(Call& call, const SnapshotServices& services) {
    call.expect_parameters({});
    const std::string& text = call.path_parameter("id");
    const auto id = id_from_hex<RunId::size()>(text);
    if (!id)
        throw Error(ErrorCode::usage, fmt::format("'{}' is no whole id of a snapshot", text))
            .with_field("id");
    const auto forgets = services.desk.with([&](Repository& repository) {
        // What does not count says nothing.
        return list_forgets(
            repository.context(), [&](const RunId& one) { return one == *id; }, [](const Error&) {});
    });
    if (forgets.empty())
        throw Error(ErrorCode::not_found, fmt::format("nobody has said that {} is forgotten", text));
    const std::optional<Timestamp> time = std::ranges::min(forgets, {}, &Forget::time).time;
    return answer({{"snapshot", text}, {"time", time ? json(to_rfc3339(*time)) : json()}});
}

// What is known now; the operation looks again.
void require_may_go(const RepositoryView& view, const AnnotatedSnapshot& asked, bool even_the_last) {
    if (!asked.standing.holds.empty()) {
        throw Error(ErrorCode::incompatible,
                    fmt::format("{} is held: {}", asked.snapshot.id.hex(), asked.standing.holds.front().name),
                    "release the hold first");
    }
    const auto of_source =
        std::ranges::count(view.measurements.snapshots, asked.snapshot.source,
                           [](const AnnotatedSnapshot& one) { return one.snapshot.source; });
    if (of_source < 2 && !even_the_last) {
        throw Error(ErrorCode::incompatible,
                    fmt::format("{} is the last snapshot of its source", asked.snapshot.id.hex()),
                    "say even_the_last=true if that is meant");
    }
}

Response forget(Call& call, const SnapshotServices& services) {
    call.expect_parameters({"even_the_last"});
    call.expect_no_body();
    const std::string last = call.request().parameter("even_the_last").value_or("false");
    if (last != "true" && last != "false")
        throw Error(ErrorCode::usage, "even_the_last must be true or false").with_field("even_the_last");
    const auto view = services.observer.require_view();
    const AnnotatedSnapshot& asked = find_snapshot(*view, call.path_parameter("id"));
    require_may_go(*view, asked, last == "true");
    return api::queue_operation(
        call, services.api,
        {.kind = "forget",
         .implied = {},
         .body = json_text(json{{"snapshot", asked.snapshot.id.hex()}, {"even_the_last", last == "true"}}),
         .requested_by = call.actor()});
}

} // namespace

const AnnotatedSnapshot& find_snapshot(const RepositoryView& view, const std::string& id) {
    const AnnotatedSnapshot* found = nullptr;
    for (const AnnotatedSnapshot& one : view.measurements.snapshots) {
        if (id.size() < shortest_id || !one.snapshot.id.hex().starts_with(id)) continue;
        if (found != nullptr)
            throw Error(ErrorCode::usage, fmt::format("'{}' is the beginning of several snapshots", id),
                        "give more digits of the id");
        found = &one;
    }
    if (found == nullptr) throw Error(ErrorCode::not_found, fmt::format("there is no snapshot '{}'", id));
    return *found;
}

api::Request with_whole_id(const Call& call, const RepositoryObserver& observer) {
    const std::string whole =
        find_snapshot(*observer.require_view(), call.path_parameter("id")).snapshot.id.hex();
    constexpr std::string_view before = "/v1/snapshots/";
    api::Request exact = call.request();
    const std::size_t end = std::min(exact.path.find('/', before.size()), exact.path.size());
    exact.path.replace(before.size(), end - before.size(), whole);
    exact.segments.at(2) = whole;
    return exact;
}

void add_snapshot_routes(api::Router& router, const SnapshotServices& services) {
    router.add({.method = "GET",
                .path = "/v1/snapshots",
                .name = "listSnapshots",
                .permission = Permission::list_backups,
                .handle = [services](Call& call) {
                    return list_page(call, services.observer.require_view()->measurements);
                }});
    router.add({.method = "GET",
                .path = "/v1/snapshots/{id}",
                .name = "getSnapshot",
                .permission = Permission::read,
                .handle = [services](Call& call) { return one_snapshot(call, services); },
                .takes_long = [](const api::Request&) { return true; }});
    router.add({.method = "DELETE",
                .path = "/v1/snapshots/{id}",
                .name = "forgetSnapshot",
                .permission = Permission::remove,
                .action = "backups.delete",
                .handle = [services](Call& call) { return forget(call, services); },
                .exactly = [services](const Call& call) { return with_whole_id(call, services.observer); }});
    router.add({.method = "GET",
                .path = "/v1/forgets/{id}",
                .name = "getForget",
                .permission = Permission::read,
                .handle = [services](Call& call) { return one_forget(call, services); },
                .takes_long = [](const api::Request&) { return true; }});
    add_annotation_routes(router, services);
    add_retention_forecast_route(router, services);
}

} // namespace holdfast
