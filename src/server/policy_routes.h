// The routes of policies and schedules, and of what is in effect.
#pragma once

#include "api/routes/routes.h"
#include "server/planned_operations.h"
#include "server/policies_in_effect.h"

#include <functional>
#include <stop_token>

namespace holdfast {

struct PolicyServices {
    PolicyBook& book;
    const PoliciesInEffect& in_effect;
    const RepositoryObserver& observer;
    Operations& operations;
    Clock& clock;
    const ServerSettings& settings;
    std::function<std::vector<Policy>()> declared;
    std::function<std::vector<MeasuredSource>()> sources;
    std::function<ServerDeclaration()> declare_again; // what the file says now; throws Error(usage)
    std::function<void()> changed;                    // called when policies are others than before
    std::stop_token stop{};                           // requested when the server ends
};

// What keeping less than before may take beyond a role.
inline constexpr const char* action_of_keeping_less = "retention.shorten";

// /v1/policies. What `services` refers to must outlive the router.
void add_policy_routes(api::Router& router, const PolicyServices& services);
// /v1/schedules.
void add_schedule_routes(api::Router& router, const PolicyServices& services);
// /v1/configuration with what the file would change.
void add_configuration_routes(api::Router& router, const PolicyServices& services);

} // namespace holdfast
