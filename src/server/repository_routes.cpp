#include "server/repository_routes.h"

#include "base/error.h"
#include "base/json_text.h"
#include "postgres/recovery/recovery_source.h"
#include "service/status_json.h"
#include "service/window_json.h"

#include <algorithm>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace holdfast {

namespace {

using api::Call;
using api::Permission;
using api::Response;
using nlohmann::json;

Response answer(const json& value) { return api::json_response(200, json_text(value)); }

const SourceMeasurement& find_source(const RepositoryView& view, const std::string& name) {
    const auto& sources = view.measurements.sources;
    const auto found = std::ranges::find(sources, name, [](const auto& one) { return one.facts.source; });
    if (found == sources.end())
        throw Error(ErrorCode::not_found, fmt::format("there is no source '{}'", name));
    return *found;
}

// As `holdfast window SOURCE --json` says it, and when that was so.
json window_json(const SourceMeasurement& source, Timestamp at) {
    const std::string& name = source.facts.source;
    if (source.snapshots == 0)
        throw Error(ErrorCode::not_found, fmt::format("nothing of '{}' is stored yet", name));
    if (!source.window) {
        throw Error(ErrorCode::unavailable,
                    fmt::format("the log of '{}' could not be looked at: {}", name,
                                source.notes.empty() ? "not yet" : source.notes.front()),
                    {}, true);
    }
    json value = to_json(*source.window);
    if (source.exposure) add_exposure(value, *source.exposure, source.facts.exposure_seconds);
    if (source.receiver) add_receiver(value, *source.receiver);
    value["measured"] = to_rfc3339(at);
    return value;
}

// What was measured last; what a recovery to one time would use is found out for it.
Response window(Call& call, const RepositoryView& view, RepositoryDesk& desk) {
    call.expect_parameters({"at"});
    const SourceMeasurement& source = find_source(view, call.path_parameter("name"));
    const std::string& name = source.facts.source;
    if (source.facts.kind != postgres::snapshot_kind) {
        throw Error(ErrorCode::incompatible,
                    fmt::format("'{}' is of kind {}: there are its snapshots, and nothing between them", name,
                                source.facts.kind),
                    "/v1/snapshots lists them");
    }
    const auto at = call.request().parameter("at");
    if (!at) return answer(window_json(source, view.at));
    try {
        from_rfc3339(*at);
        if (name.starts_with('-'))
            throw Error(ErrorCode::usage, fmt::format("source '{}' looks like an option", name));
    } catch (const Error& error) {
        throw error.with_field("at");
    }
    json value = json::parse(desk.window_at(name, *at));
    value["measured"] = to_rfc3339(call.services().clock.now());
    return answer(value);
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

void add_repository_routes(api::Router& router, const RepositoryObserver& observer, RepositoryDesk& desk) {
    add_read(router, observer, "/v1/sources", "listSources", [](Call& call, const RepositoryView& view) {
        call.expect_parameters({});
        json items = json::array();
        for (const SourceMeasurement& source : view.measurements.sources) items.push_back(to_json(source));
        return answer({{"at", to_rfc3339(view.at)}, {"items", std::move(items)}});
    });
    add_read(router, observer, "/v1/sources/{name}", "getSource", [](Call& call, const RepositoryView& view) {
        call.expect_parameters({});
        return answer(to_json(find_source(view, call.path_parameter("name"))));
    });
    router.add(
        {.method = "GET",
         .path = "/v1/sources/{name}/window",
         .name = "getWindow",
         .permission = Permission::read,
         .handle = [&observer, &desk](Call& call) { return window(call, *observer.require_view(), desk); },
         .takes_long = [](const api::Request& request) { return request.parameter("at").has_value(); }});
    router.add({.method = "GET",
                .path = "/v1/repository",
                .name = "getRepository",
                .permission = Permission::read,
                .handle =
                    [&desk](Call& call) {
                        call.expect_parameters({});
                        return api::json_response(200, desk.statistics());
                    },
                .takes_long = [](const api::Request&) { return true; }});
}

} // namespace holdfast
