#include "server/annotation_routes.h"

#include "base/error.h"
#include "base/json_text.h"
#include "server/own_deeds.h"
#include "service/snapshot_json.h"
#include "service/stated_policies.h"

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

Response answer(const json& value, int status = 200) { return api::json_response(status, json_text(value)); }

Response list_holds(Call& call, const ProtectionStatus& seen) {
    call.expect_parameters({});
    json items = json::array();
    for (const AnnotatedSnapshot& one : seen.snapshots)
        for (const Statement& hold : one.standing.holds) items.push_back(hold_json(one.snapshot, hold));
    return answer({{"items", std::move(items)}, {"problems", seen.unread}});
}

// The snapshot that the path names.
Snapshot asked_for(const Call& call, const SnapshotServices& services) {
    return find_snapshot(*services.observer.require_view(), call.path_parameter("id")).snapshot;
}

Standing standing_now(Repository& repository, const Snapshot& snapshot) {
    return standing_of(snapshot, list_statements(repository.context()).statements);
}

template <typename Body>
auto in_trail(Call& call, const std::string& action, const Snapshot& snapshot, json details, Body&& body) {
    details["source"] = snapshot.source;
    return call.in_trail(action, snapshot.id.hex(), json_text(details), std::forward<Body>(body));
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
    return services.desk.with([&](Repository& repository) {
        // The same request may have been waited for.
        if (auto before = call.kept_answer()) return std::move(*before);
        const Statement hold = in_trail(call, "hold.add", snapshot, {{"reason", *reason}, {"owner", owner}},
                                        [&] { return hold_snapshot(repository, snapshot, *reason, owner); });
        learn_what_is_said(services.observer, repository, snapshot);
        Response response = answer(hold_json(snapshot, hold), 201);
        response.headers.set("Location",
                             fmt::format("/v1/snapshots/{}/holds/{}", snapshot.id.hex(), hold_id(hold)));
        return kept(call, services, std::move(response));
    });
}

struct Meant {
    std::vector<Statement> holds;    // all of them
    std::vector<Statement> standing; // those that are not over yet
};

// The holds that a path means; of these `only` the ones with such ids, where there are any. Those may be over
// already: of an answer that is lost, the request comes again.
Meant holds_of(Repository& repository, const Snapshot& snapshot, const std::string& which,
               const std::vector<std::string>& only) {
    const std::vector<Statement> statements = list_statements(repository.context()).statements;
    Meant meant;
    meant.standing = holds_meant(standing_of(snapshot, statements).holds, which);
    meant.holds = meant.standing;
    if (!only.empty()) {
        const auto is_other = [&](const Statement& statement) {
            return statement.type != StatementType::hold || statement.snapshot != snapshot.id ||
                   std::ranges::find(only, hold_id(statement)) == only.end();
        };
        meant.holds = holds_meant(statements, which);
        std::erase_if(meant.holds, is_other);
        std::erase_if(meant.standing, is_other);
    }
    if (meant.holds.empty())
        throw Error(ErrorCode::not_found, fmt::format("{} has no such hold", snapshot.id.hex()));
    return meant;
}

std::vector<std::string> only_these(const Call& call) {
    Form form = call.form();
    std::vector<std::string> holds = form.texts("holds");
    if (holds.empty() && form.has("holds"))
        form.fail("holds", "must name one at least; absent: all that the path means");
    form.expect_no_more();
    return holds;
}

Response release(Call& call, const SnapshotServices& services) {
    call.expect_parameters({"reason"});
    const std::vector<std::string> only = only_these(call);
    const std::string reason = call.request().parameter("reason").value_or("");
    const Snapshot snapshot = asked_for(call, services);
    const Meant meant = services.desk.with([&](Repository& repository) {
        Meant found = holds_of(repository, snapshot, call.path_parameter("hold"), only);
        if (!found.standing.empty())
            in_trail(call, "hold.release", snapshot,
                     {{"holds", holds_json(snapshot, found.standing)}, {"reason", reason}},
                     [&] { end_holds(repository, snapshot, found.standing, reason); });
        learn_what_is_said(services.observer, repository, snapshot);
        return found;
    });
    return kept(call, services, answer({{"released", holds_json(snapshot, meant.holds)}}));
}

// Whoever approves of it approves of the holds that there are now, and not of what their owner adds.
api::Request exact_release(const Call& call, const SnapshotServices& services) {
    api::Request exact = with_whole_id(call, services.observer);
    const std::vector<std::string> only = only_these(call);
    const Snapshot snapshot = asked_for(call, services);
    const Meant meant = services.desk.with([&](Repository& repository) {
        return holds_of(repository, snapshot, call.path_parameter("hold"), only);
    });
    json ids = json::array();
    for (const Statement& hold : meant.holds) ids.push_back(hold_id(hold));
    exact.body = json_text(json{{"holds", ids}});
    return exact;
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
    bool is_made(const std::map<std::string, std::string>& tags) const {
        return std::ranges::includes(tags, set) &&
               std::ranges::none_of(remove, [&](const std::string& name) { return tags.contains(name); });
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

// A misspelt class would be kept by the rules for all, and nobody would know.
void require_class(Repository& repository, const SnapshotServices& services, const TagChange& change) {
    try {
        require_class_in_force(repository, services.declared(), change.set);
    } catch (const Error& error) {
        if (error.code() != ErrorCode::usage) throw;
        throw Error(error).with_field("set.class");
    }
}

// Nobody is asked to approve of what cannot be done.
api::Request exact_change(const Call& call, const SnapshotServices& services) {
    const TagChange change = tag_change(call);
    services.desk.with([&](Repository& repository) { require_class(repository, services, change); });
    return with_whole_id(call, services.observer);
}

Response change_tags(Call& call, const SnapshotServices& services) {
    call.expect_parameters({});
    const TagChange change = tag_change(call);
    const Snapshot snapshot = asked_for(call, services);
    std::optional<api::Problem> refused;
    const json now = services.desk.with([&](Repository& repository) {
        require_class(repository, services, change);
        const Standing standing = standing_now(repository, snapshot);
        json tags = tags_json(snapshot, standing);
        refused = call.unless_match(api::etag_of(json_text(tags)));
        if (refused) {
            // Of an answer that is lost, the request comes again (RFC 9110, section 13.1.1).
            if (refused->status == 412 && change.is_made(standing.tags)) refused.reset();
            return tags;
        }
        json made =
            in_trail(call, "snapshot.tag", snapshot,
                     {{"before", standing.tags}, {"set", change.set}, {"removed", change.remove}}, [&] {
                         set_tags(repository, snapshot, change.set, change.remove);
                         return tags_json(snapshot, standing_now(repository, snapshot));
                     });
        learn_what_is_said(services.observer, repository, snapshot);
        return made;
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
                    return list_holds(call, services.observer.require_view()->measurements);
                }});
    router.add(route("POST", "/v1/snapshots/{id}/holds", "holdSnapshot", Permission::back_up, add_hold));
    api::Route ending =
        route("DELETE", "/v1/snapshots/{id}/holds/{hold}", "releaseHold", Permission::remove, release);
    ending.action = "holds.release";
    ending.exactly = [services](const Call& call) { return exact_release(call, services); };
    router.add(std::move(ending));
    router.add(route("GET", "/v1/snapshots/{id}/tags", "getTags", Permission::read, get_tags));
    api::Route change =
        route("PATCH", "/v1/snapshots/{id}/tags", "changeTags", Permission::back_up, change_tags);
    // Until when it lives is not for everybody to say who may have it made.
    change.demand = [](const Call& call) -> std::optional<api::Demand> {
        if (!tag_change(call).decides()) return std::nullopt;
        return api::Demand{Permission::remove, "backups.delete"};
    };
    change.exactly = [services](const Call& call) { return exact_change(call, services); };
    router.add(std::move(change));
}

} // namespace holdfast
