// The routes of the server, a function for each group.
#pragma once

#include "api/operation_feed.h"
#include "api/router.h"
#include "catalog/operations.h"
#include "repository/protocol/statement.h"

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace holdfast::api {

// What a client asks to have done, before anybody has looked at it.
struct OperationAsked {
    std::string kind; // "backup", "verify", "restore", "retention", "prune", "drill", "failover"
    // What the route says by itself: "type" full or incremental, "source_kind" postgresql or documents,
    // "snapshot", "plan", "scope" all.
    std::map<std::string, std::string> implied;
    std::string body; // a JSON object
    std::string requested_by;
};

// Looks at what is asked for and says what to do, without doing or changing anything: it may be called again
// for the same request, and not followed. Throws Error(usage) with the field at fault, Error(not_found) about
// a source or snapshot, Error(unsupported) where this cannot be done by this server, which answers 501.
// `requested_by` of what it returns is set by who calls it.
using PrepareOperation = std::function<OperationRequest(const OperationAsked&)>;

// Whether the server can work: nothing, or what is missing, in words for everybody.
struct ReadyCheck {
    std::string name;
    std::function<std::optional<std::string>()> missing;
};

// What routes need beyond a call. All of it outlives the router.
struct RouteServices {
    Catalog& catalog;
    Operations& operations;
    Tokens& tokens;
    Approvals& approvals;
    Audit& audit;
    Access& access;
    Clock& clock;
    std::shared_ptr<OperationFeed> feed;
    PrepareOperation prepare;
    std::function<std::vector<Statement>()> statements; // of the repository; empty: there is none
    std::vector<ReadyCheck> ready;
};

// /healthz, /readyz, /openapi.yaml: open to all.
void add_system_routes(Router& router, const RouteServices& services);
void add_operation_routes(Router& router, const RouteServices& services);
// Those that have work begun: /v1/backups and its like.
void add_work_routes(Router& router, const RouteServices& services);
void add_audit_routes(Router& router, const RouteServices& services);
// What the audit trail says of a token that is made.
std::string token_in_trail(const Token& token);
void add_token_routes(Router& router, const RouteServices& services);
void add_approval_routes(Router& router, const RouteServices& services);
// /v1/backup-recovery/…: those that begin work, and the names of those that others add.
void add_backup_recovery_routes(Router& router, const RouteServices& services);

// Has what is asked for begun, and answers 202 with where it is followed.
Response queue_operation(Call& call, const RouteServices& services, const OperationAsked& asked);
// A handler that has work of `kind` begun and answers 202 with where it is found. `implied` are members that
// the route says; parameters of its path are added under the names in `from_path`.
std::function<Response(Call&)> begin_work(const RouteServices& services, std::string kind,
                                          std::map<std::string, std::string> implied = {},
                                          std::map<std::string, std::string> from_path = {});

} // namespace holdfast::api
