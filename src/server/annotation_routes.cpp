#include "server/annotation_routes.h"

#include "base/error.h"
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

constexpr std::size_t longest_reason = 1000;

std::string dump(const json& value) { return value.dump(-1, ' ', false, json::error_handler_t::replace); }
Response answer(const json& value, int status = 200) { return api::json_response(status, dump(value)); }

Response list_holds(Call& call, const std::vector<AnnotatedSnapshot>& snapshots) {
    call.expect_parameters({});
    json items = json::array();
    for (const AnnotatedSnapshot& one : snapshots)
        for (const Statement& hold : one.standing.holds) items.push_back(hold_json(one.snapshot, hold));
    return answer({{"items", std::move(items)}});
}

// The snapshot that the path names.
Snapshot asked_for(Call& call, const SnapshotServices& services) {
    return find_snapshot(*services.observer.require_view(), call.path_parameter("id")).snapshot;
}

Standing standing_now(Repository& repository, const Snapshot& snapshot) {
    return standing_of(snapshot, list_statements(repository.context()).statements);
}

template <typename Body>
auto in_trail(Call& call, const std::string& action, const Snapshot& snapshot, json details, Body&& body) {
    details["source"] = snapshot.source;
    return call.in_trail(action, snapshot.id.hex(), dump(details), std::forward<Body>(body));
}

// Keeps the answer for a request that comes again.
Response kept(Call& call, const SnapshotServices& services, Response response) {
    services.changed();
    return call.change([&](Database&) { return std::move(response); });
}

Response add_hold(Call& call, const SnapshotServices& services) {
    call.expect_parameters({});
    Form form = call.form();
    const auto reason = form.text("reason", longest_reason);
    if (!reason) form.fail("reason", "is missing: say why, for whoever finds it");
    const std::string owner = form.text("owner", longest_reason).value_or("");
    form.expect_no_more();
    const Snapshot snapshot = asked_for(call, services);
    const Statement hold = services.desk.with([&](Repository& repository) {
        return in_trail(call, "hold.add", snapshot, {{"reason", *reason}, {"owner", owner}},
                        [&] { return hold_snapshot(repository, snapshot, *reason, owner); });
    });
    Response response = answer(hold_json(snapshot, hold), 201);
    response.headers.set("Location",
                         fmt::format("/v1/snapshots/{}/holds/{}", snapshot.id.hex(), hold_id(hold)));
    return kept(call, services, std::move(response));
}

Response end_holds(Call& call, const SnapshotServices& services) {
    call.expect_parameters({"reason"});
    const std::string& which = call.path_parameter("hold");
    const std::string reason = call.request().parameter("reason").value_or("");
    const Snapshot snapshot = asked_for(call, services);
    const auto released = services.desk.with([&](Repository& repository) {
        const auto meant = holds_meant(standing_now(repository, snapshot).holds, which);
        if (meant.empty())
            throw Error(ErrorCode::not_found, fmt::format("{} has no such hold", snapshot.id.hex()));
        return in_trail(call, "hold.release", snapshot,
                        {{"holds", holds_json(snapshot, meant)}, {"reason", reason}},
                        [&] { return release_holds(repository, snapshot, which, reason); });
    });
    return kept(call, services, answer({{"released", holds_json(snapshot, released)}}));
}

json tags_json(const Snapshot& snapshot, const Standing& standing) {
    return {{"snapshot", snapshot.id.hex()}, {"tags", standing.tags}};
}

Response with_etag(const json& value) {
    Response response = answer(value);
    response.headers.set("ETag", api::etag_of(response.body));
    return response;
}

Response get_tags(Call& call, const SnapshotServices& services) {
    call.expect_parameters({});
    const Snapshot snapshot = asked_for(call, services);
    return with_etag(services.desk.with(
        [&](Repository& repository) { return tags_json(snapshot, standing_now(repository, snapshot)); }));
}

struct TagChange {
    std::map<std::string, std::string> set;
    std::vector<std::string> remove;

    bool decides() const {
        return std::ranges::any_of(set, [](const auto& tag) { return lets_go(tag.first); }) ||
               std::ranges::any_of(remove, lets_go);
    }
};

TagChange tag_change(const Call& call) {
    Form form = call.form();
    TagChange change{.set = form.text_map("set"), .remove = form.texts("remove")};
    form.expect_no_more();
    const auto check = [&](const char* member, const std::string& name) {
        if (name.empty() || name.find('=') != std::string::npos)
            form.fail(member, fmt::format("'{}' can be no name of a tag", name));
    };
    for (const auto& [name, value] : change.set) check("set", name);
    for (const std::string& name : change.remove) {
        check("remove", name);
        if (change.set.contains(name)) form.fail("remove", fmt::format("'{}' is also to be set", name));
    }
    if (change.set.empty() && change.remove.empty()) form.fail("set", "is missing, and so is 'remove'");
    form.at("set", [&] { require_sensible_tags(change.set); });
    return change;
}

Response change_tags(Call& call, const SnapshotServices& services) {
    call.expect_parameters({});
    const TagChange change = tag_change(call);
    const Snapshot snapshot = asked_for(call, services);
    std::optional<api::Problem> refused;
    const json now = services.desk.with([&](Repository& repository) {
        json tags = tags_json(snapshot, standing_now(repository, snapshot));
        refused = call.unless_match(api::etag_of(dump(tags)));
        if (refused) return tags;
        return in_trail(call, "snapshot.tag", snapshot, {{"set", change.set}, {"removed", change.remove}},
                        [&] {
                            set_tags(repository, snapshot, change.set, change.remove);
                            return tags_json(snapshot, standing_now(repository, snapshot));
                        });
    });
    if (refused) return api::problem_response(*refused, call.request().path, {});
    return kept(call, services, with_etag(now));
}

} // namespace

void add_annotation_routes(api::Router& router, const SnapshotServices& services) {
    using Handle = Response (*)(Call&, const SnapshotServices&);
    const auto route = [&](const char* method, const char* path, const char* name, Permission permission,
                           Handle handle) {
        return api::Route{.method = method,
                          .path = path,
                          .name = name,
                          .permission = permission,
                          .handle = [services, handle](Call& call) { return handle(call, services); },
                          .takes_long = [](const api::Request&) { return true; }};
    };
    router.add({.method = "GET",
                .path = "/v1/holds",
                .name = "listHolds",
                .permission = Permission::read,
                .handle = [services](Call& call) {
                    return list_holds(call, services.observer.require_view()->measurements.snapshots);
                }});
    router.add(route("POST", "/v1/snapshots/{id}/holds", "holdSnapshot", Permission::back_up, add_hold));
    api::Route release =
        route("DELETE", "/v1/snapshots/{id}/holds/{hold}", "releaseHold", Permission::remove, end_holds);
    release.action = "holds.release";
    router.add(std::move(release));
    router.add(route("GET", "/v1/snapshots/{id}/tags", "getTags", Permission::read, get_tags));
    api::Route change =
        route("PATCH", "/v1/snapshots/{id}/tags", "changeTags", Permission::back_up, change_tags);
    // Until when it lives is not for everybody to say who may have it made.
    change.demand = [](const Call& call) -> std::optional<api::Demand> {
        if (!tag_change(call).decides()) return std::nullopt;
        return api::Demand{Permission::remove, "backups.delete"};
    };
    router.add(std::move(change));
}

} // namespace holdfast
