// From a request to the handler that answers it: routes, and all that holds for each of them.
#pragma once

#include "api/access.h"
#include "api/call.h"
#include "api/permission.h"
#include "api/token_streams.h"
#include "catalog/approvals.h"

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace holdfast::api {

// What an action takes beyond a permission.
enum class Protection {
    none,
    code,          // a code of the token's second factor, in the field Holdfast-Code
    second_person, // the approval of another administrator's token
    either,        // a code; without one, an approval
};
std::string_view to_string(Protection protection);
// Throws Error(usage).
Protection protection_of(std::string_view text);

struct Demand {
    Permission permission;
    std::string action; // as Route::action
    // What that hangs on: an approval is of this. A handler to which it matters asks for it by
    // Call::require_demanded().
    std::string judged_by{};
};

struct Route {
    std::string method;                   // "GET", which answers HEAD, too
    std::string path;                     // "/v1/operations/{id}"
    std::string name;                     // its operationId in openapi.yaml
    std::optional<Permission> permission; // nothing: open to everybody
    // What it does that may be protected: "backups.delete", "tokens.administer"; empty: nothing.
    std::string action{};
    std::string produces = "application/json";
    // Called by several threads at once. May throw Error, which becomes a problem document.
    std::function<Response(Call&)> handle{};
    // Whether the answer to this request may take long, so that others are not to wait for it; empty: it
    // never does. Called before anybody has looked at the request.
    std::function<bool(const Request&)> takes_long{};
    // What a request takes beyond the route's permission and in place of its action, where that hangs on what
    // it asks for; nothing: no more. May throw Error, as `handle`.
    std::function<std::optional<Demand>(const Call&)> demand{};
    // The request to carry out when it waits for an approval, where its words may mean more, or something
    // else, by the time that comes: with the ids of all that it means now. Empty: as it came. May throw
    // Error, as `handle`.
    std::function<Request(const Call&)> exactly{};
};

// Routes are added before the first request; then it is thread-safe. The arguments outlive it.
class Router {
  public:
    // Throws Error(usage) on the protection of an action that there is not: a word that is mistyped protects
    // nothing.
    Router(std::map<std::string, Protection> protection, Access& access, Approvals& approvals,
           CallServices services);

    // Adds a route. One without a handler answers 501 until another of the same method and path is added.
    // Throws Error(internal) on a path with a handler twice.
    void add(Route route);
    // In the order of their paths.
    std::vector<const Route*> routes() const;

    // The answer to a request. Throws nothing but std::bad_alloc.
    Response answer(const Request& request);
    // Whether that may take long.
    bool takes_long(const Request& request) const;
    // The answer to what is no request, or cannot be taken on.
    Response refuse(int status, const std::string& reason);
    // Does what was approved, on behalf of who asked for it, with the roles that he still has. What it
    // changes in the catalog is there together with its answer, as `text_of` writes it, or neither is; what
    // it does elsewhere is not begun when it has its answer already. Throws nothing.
    Response carry_out(const Approval& approval, const Identity& requester,
                       const std::function<std::string(const Response&)>& text_of);

  private:
    struct Path {
        std::string path;
        std::vector<std::string> segments; // "{id}" stands for any
        std::map<std::string, Route> methods;
    };
    struct Match {
        const Path* path = nullptr;
        std::map<std::string, std::string> parameters;
    };
    std::optional<Match> match(const std::vector<std::string>& segments) const;
    // The route of a request; null when there is none.
    static const Route* route_of(const Match& match, const Request& request);
    Response routed(const Request& request, const std::string& request_id, std::string& actor);
    Response handled(const Route& route, Call& call);
    std::expected<void, Response> protect(const Route& route, const Demand& demanded, Call& call);
    Response ask_for_approval(const Route& route, const Demand& demanded, Call& call);
    Response guarded(const Request& request, const std::string& request_id,
                     const std::function<Response()>& body);

    std::map<std::string, Protection> protection_;
    Access& access_;
    Approvals& approvals_;
    CallServices services_;
    TokenStreams streams_{access_};
    std::vector<Path> paths_; // those that say more first
};

} // namespace holdfast::api
