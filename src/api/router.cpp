#include "api/router.h"

#include "api/http/target.h"
#include "base/json_text.h"
#include "base/sha256.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace holdfast::api {

namespace {

using Json = nlohmann::ordered_json;

constexpr std::array<std::pair<Protection, std::string_view>, 4> protections{{
    {Protection::none, "none"},
    {Protection::code, "code"},
    {Protection::second_person, "second-person"},
    {Protection::either, "either"},
}};

// All that may be protected, also by routes of others.
constexpr std::array<std::string_view, 4> actions{"backups.delete", "retention.shorten", "holds.release",
                                                  "tokens.administer"};

bool is_parameter(std::string_view segment) { return segment.starts_with('{') && segment.ends_with('}'); }

std::vector<std::string> split(std::string_view path) {
    std::vector<std::string> segments;
    path.remove_prefix(1);
    while (!path.empty()) {
        const std::size_t slash = std::min(path.find('/'), path.size());
        segments.emplace_back(path.substr(0, slash));
        path.remove_prefix(std::min(slash + 1, path.size()));
    }
    return segments;
}

// The media type at the front of `text`, without parameters and spaces.
std::string_view media_type(std::string_view text) {
    text = text.substr(0, text.find(';'));
    while (text.starts_with(' ')) text.remove_prefix(1);
    while (text.ends_with(' ')) text.remove_suffix(1);
    return text;
}

bool accepts(const Request& request, std::string_view type) {
    const auto field = request.headers.find("Accept");
    if (!field) return true;
    for (std::string_view rest = *field; !rest.empty();) {
        const std::size_t comma = std::min(rest.find(','), rest.size());
        const std::string_view range = media_type(rest.substr(0, comma));
        rest.remove_prefix(std::min(comma + 1, rest.size()));
        if (range == "*/*" || equal_without_case(range, type)) return true;
        if (range.ends_with("/*") &&
            equal_without_case(range.substr(0, range.size() - 1), type.substr(0, type.find('/') + 1)))
            return true;
    }
    return false;
}

std::optional<Problem> wrong_format(const Request& request, const Route& route) {
    if (!request.body.empty() && request.method != "GET" && request.method != "HEAD") {
        const auto type = request.headers.find("Content-Type");
        if (!type || !equal_without_case(media_type(*type), "application/json"))
            return problem_of(415, "a body must be of the type application/json");
    }
    if (!accepts(request, route.produces))
        return problem_of(406, fmt::format("this is answered as {} alone", route.produces));
    return std::nullopt;
}

// What was asked for, for the trail.
Json request_json(const Request& request) {
    Json query = Json::object();
    for (const auto& [name, value] : request.query) query[name] = value;
    Json body = request.body.empty() ? Json() : Json::parse(request.body, nullptr, false);
    if (body.is_discarded()) body = Json();
    return {{"method", request.method},
            {"path", request.path},
            {"query", std::move(query)},
            {"request", std::move(body)}};
}

// What the approval is of besides the request; empty: nothing.
std::string digest_of(const std::string& judged_by) {
    return judged_by.empty() ? "" : sha256_hex(as_bytes(judged_by));
}

std::string text_of(const Request& request, const std::string& judged_by) {
    Json query = Json::array();
    for (const auto& [name, value] : request.query) query.push_back({name, value});
    return json_text(Json{{"method", request.method},
                          {"path", request.path},
                          {"segments", request.segments},
                          {"query", std::move(query)},
                          {"if_match", std::string(request.headers.find("If-Match").value_or(""))},
                          {"body", request.body},
                          {"judged_by", digest_of(judged_by)}});
}

Request request_of(const std::string& text) {
    const Json kept = Json::parse(text);
    Request request{.method = kept.at("method").get<std::string>(),
                    .path = kept.at("path").get<std::string>(),
                    .segments = kept.at("segments").get<std::vector<std::string>>(),
                    .query = {},
                    .headers = {},
                    .body = kept.at("body").get<std::string>(),
                    .peer = {}};
    for (const Json& pair : kept.at("query"))
        request.query.emplace_back(pair.at(0).get<std::string>(), pair.at(1).get<std::string>());
    if (const std::string tag = kept.value("if_match", ""); !tag.empty())
        request.headers.add("If-Match", tag);
    return request;
}

// The call knows of it.
std::optional<Demand> demand_of(const Route& route, Call& call) {
    std::optional<Demand> demand = route.demand ? route.demand(call) : std::nullopt;
    if (demand) call.demanded(demand->judged_by);
    return demand;
}

std::expected<void, Problem> permitted_by(const std::optional<Demand>& demand, const Identity& identity) {
    return demand ? Access::permit(identity, demand->permission) : std::expected<void, Problem>{};
}

} // namespace

std::string_view to_string(Protection protection) {
    for (const auto& [known, name] : protections)
        if (known == protection) return name;
    return "none";
}

Protection protection_of(std::string_view text) {
    for (const auto& [protection, name] : protections)
        if (name == text) return protection;
    throw Error(ErrorCode::usage, fmt::format("\"{}\" is no protection", text),
                "there are none, code, second-person and either");
}

Router::Router(std::map<std::string, Protection> protection, Access& access, Approvals& approvals,
               CallServices services)
    : protection_(std::move(protection)), access_(access), approvals_(approvals), services_(services) {
    for (const auto& [action, protection_of_it] : protection_) {
        if (std::ranges::find(actions, action) != actions.end()) continue;
        throw Error(ErrorCode::usage, fmt::format("\"{}\" is nothing that can be protected", action),
                    fmt::format("there are {}", fmt::join(actions, ", ")));
    }
}

void Router::add(Route route) {
    auto path = std::ranges::find(paths_, route.path, &Path::path);
    if (path == paths_.end()) {
        paths_.push_back({.path = route.path, .segments = split(route.path), .methods = {}});
        // Of two that fit, the one whose first differing segment is a word, not a parameter.
        std::ranges::stable_sort(paths_, [](const Path& a, const Path& b) {
            return std::ranges::lexicographical_compare(a.segments, b.segments,
                                                        [](const std::string& x, const std::string& y) {
                                                            return !is_parameter(x) && is_parameter(y);
                                                        });
        });
        path = std::ranges::find(paths_, route.path, &Path::path);
    }
    Route& place = path->methods[route.method];
    if (place.handle)
        throw Error(ErrorCode::internal, fmt::format("there are two routes {} {}", route.method, route.path));
    place = std::move(route);
}

std::vector<const Route*> Router::routes() const {
    std::vector<const Route*> all;
    for (const Path& path : paths_)
        for (const auto& [method, route] : path.methods) all.push_back(&route);
    std::ranges::sort(all, {}, [](const Route* route) { return std::pair(route->path, route->method); });
    return all;
}

std::optional<Router::Match> Router::match(const std::vector<std::string>& segments) const {
    for (const Path& path : paths_) {
        if (path.segments.size() != segments.size()) continue;
        const bool fits =
            std::ranges::equal(path.segments, segments, [](const auto& ours, const auto& asked) {
                return ours == asked || is_parameter(ours);
            });
        if (!fits) continue;
        Match match{.path = &path, .parameters = {}};
        for (std::size_t i = 0; i < segments.size(); ++i)
            if (is_parameter(path.segments[i]))
                match.parameters[path.segments[i].substr(1, path.segments[i].size() - 2)] = segments[i];
        return match;
    }
    return std::nullopt;
}

const Route* Router::route_of(const Match& match, const Request& request) {
    const auto place = match.path->methods.find(request.method == "HEAD" ? "GET" : request.method);
    return place == match.path->methods.end() ? nullptr : &place->second;
}

bool Router::takes_long(const Request& request) const {
    const auto found = match(request.segments);
    const Route* const route = found ? route_of(*found, request) : nullptr;
    return route != nullptr && route->takes_long && route->takes_long(request);
}

Response Router::answer(const Request& request) {
    const std::string request_id = services_.random.id<8>().hex();
    const Duration begun = services_.clock.steady();
    std::string actor;
    Response response = guarded(request, request_id, [&] { return routed(request, request_id, actor); });
    response.headers.set("Holdfast-Request-Id", request_id);
    // Who is turned away is worth knowing; how often is limited by who may fail how often.
    const bool refused = response.status == 401 || response.status == 403;
    services_.logger.log(
        refused ? LogLevel::info : LogLevel::debug, refused ? "api.refused" : "api.request",
        {{"request_id", request_id},
         {"method", request.method},
         {"path", request.path},
         {"status", static_cast<std::int64_t>(response.status)},
         {"actor", actor},
         {"peer", request.peer},
         {"milliseconds",
          std::chrono::duration<double, std::milli>(services_.clock.steady() - begun).count()}});
    return response;
}

Response Router::guarded(const Request& request, const std::string& request_id,
                         const std::function<Response()>& body) {
    const auto log = [&](const char* what, std::string_view code) {
        services_.logger.error("api.request_failed", {{"request_id", request_id},
                                                      {"method", request.method},
                                                      {"path", request.path},
                                                      {"code", std::string(code)},
                                                      {"error", std::string(what)}});
    };
    try {
        return body();
    } catch (const Error& error) {
        const Problem problem = problem_of(error);
        if (problem.status >= 500 && problem.status != 501) log(error.what(), to_string(error.code()));
        return problem_response(problem, request.path, request_id);
    } catch (const std::exception& error) {
        log(error.what(), "unexpected");
    }
    return problem_response(problem_of(500, "the server could not do it"), request.path, request_id);
}

Response Router::refuse(int status, const std::string& reason) {
    return problem_response(problem_of(status, reason), {}, {});
}

Response Router::routed(const Request& request, const std::string& request_id, std::string& actor) {
    const auto problem = [&](const Problem& what) {
        return problem_response(what, request.path, request_id);
    };
    if (const auto admitted = access_.admit(request); !admitted) return problem(admitted.error());
    if (request.path == "*" && request.method == "OPTIONS") return {.status = 204, .headers = {}};
    const auto found = match(request.segments);
    if (!found || request.path == "*") return problem(problem_of(404, "there is nothing at this path"));
    const Route* const place = route_of(*found, request);
    if (place == nullptr) {
        std::string allowed = "OPTIONS";
        for (const auto& [name, route] : found->path->methods)
            allowed += name == "GET" ? ", GET, HEAD" : ", " + name;
        Problem refusal = problem_of(405, fmt::format("{} cannot be done here", request.method));
        Response response = request.method == "OPTIONS" ? Response{.status = 204} : problem(refusal);
        response.headers.set("Allow", std::move(allowed));
        return response;
    }
    const Route& route = *place;
    Identity identity;
    if (route.permission) {
        auto known = access_.identify(request);
        if (!known) return problem(known.error());
        identity = std::move(*known);
        actor = identity.token.name;
        if (const auto permitted = Access::permit(identity, *route.permission); !permitted)
            return problem(permitted.error());
    }
    if (const auto wrong = wrong_format(request, route)) return problem(*wrong);
    if (!route.handle) return problem(problem_of(501, "this does not exist yet"));
    Call call(request, std::move(identity), found->parameters, services_);
    Response response = handled(route, call);
    if (response.events && route.permission) {
        auto guarded = streams_.guard(call.identity(), *route.permission, std::move(response.events));
        if (!guarded) return problem(guarded.error());
        response.events = std::move(*guarded);
    }
    return response;
}

Response Router::handled(const Route& route, Call& call) {
    if (route.method == "GET") return route.handle(call);
    // What was done before is answered before it is asked for another code.
    if (auto kept = call.kept_answer()) return std::move(*kept);
    const std::optional<Demand> demand = demand_of(route, call);
    if (const auto permitted = permitted_by(demand, call.identity()); !permitted)
        return problem_response(permitted.error(), call.request().path, {});
    const Demand usual{.permission = {}, .action = route.action, .judged_by = {}};
    if (const auto free = protect(route, demand.value_or(usual), call); !free) return free.error();
    return route.handle(call);
}

std::expected<void, Response> Router::protect(const Route& route, const Demand& demanded, Call& call) {
    if (demanded.action.empty()) return {};
    const auto setting = protection_.find(demanded.action);
    const Protection protection = setting == protection_.end() ? Protection::none : setting->second;
    if (protection == Protection::none) return {};
    const auto code = call.request().headers.find("Holdfast-Code");
    if (protection == Protection::second_person || (protection == Protection::either && !code))
        return std::unexpected(ask_for_approval(route, demanded, call));
    const auto refuse = [&](const Problem& problem) {
        return std::unexpected(problem_response(problem, call.request().path, {}));
    };
    if (!call.identity().token.has_second_factor || !code) {
        Problem problem = problem_of(403, "this takes a code of a second factor");
        problem.code = "second-factor-required";
        problem.hint = call.identity().token.has_second_factor
                           ? "send the code that your authenticator shows in the field Holdfast-Code"
                           : "this token has none: use one that was made with a second factor";
        return refuse(problem);
    }
    if (const auto right = access_.check_code(call.identity(), *code); !right) return refuse(right.error());
    return {};
}

Response Router::ask_for_approval(const Route& route, const Demand& demanded, Call& call) {
    const Request request = route.exactly ? route.exactly(call) : call.request();
    // What is refused later anyway is refused before it is kept, shown, and entered as a value.
    if (!request.body.empty()) Form::parse(request.body, "");
    return call.change([&](Database& database) {
        const Approval approval = approvals_.add(
            database, demanded.action, text_of(request, demanded.judged_by), call.identity().token.id);
        Json asked = request_json(request);
        asked["action"] = demanded.action;
        call.audit(database, "approval.request", approval.id, json_text(asked));
        Response response = json_response(202, json_text(Json{{"approval", approval.id},
                                                              {"state", "pending"},
                                                              {"action", demanded.action},
                                                              {"expires", to_rfc3339(approval.expires)}}));
        response.headers.set("Location", "/v1/approvals/" + approval.id);
        return response;
    });
}

Response Router::carry_out(const Approval& approval, const Identity& requester,
                           const std::function<std::string(const Response&)>& text_of) {
    const Request request = request_of(approval.request);
    return guarded(request, approval.id, [&]() -> Response {
        const auto found = match(request.segments);
        const Route* const route = found ? route_of(*found, request) : nullptr;
        if (route == nullptr || !route->handle)
            return problem_response(problem_of(501, "this server does not do it"), request.path, approval.id);
        Call call(request, requester, found->parameters, services_);
        call.beside_changes([&](Database& database) { approvals_.require_unanswered(database, approval.id); },
                            [&](Database& database, const Response& response) {
                                approvals_.keep_answer(database, approval.id, text_of(response));
                            });
        const std::optional<Demand> demand = demand_of(*route, call);
        for (const auto& permitted :
             {Access::permit(requester, *route->permission), permitted_by(demand, requester)}) {
            if (!permitted) return problem_response(permitted.error(), request.path, approval.id);
        }
        if (demand && digest_of(demand->judged_by) != Json::parse(approval.request).value("judged_by", "")) {
            Problem problem = problem_of(409, "what this would change was changed since it was asked for");
            problem.hint = "more may be lost than was approved of: ask for it again";
            return problem_response(problem, request.path, approval.id);
        }
        services_.catalog.transaction(
            [&](Database& database) { approvals_.require_unanswered(database, approval.id); });
        return route->handle(call);
    });
}

} // namespace holdfast::api
