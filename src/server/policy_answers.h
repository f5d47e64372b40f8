// Policies as the API tells of them. Internal to their routes.
#pragma once

#include "server/policy_routes.h"

namespace holdfast {

struct ListedPolicy {
    Policy policy;
    std::optional<KeptPolicy> kept; // nothing: holdfast.toml declares it
};

// All that are configured or have been seen in the repository.
std::vector<std::string> source_names(const PolicyServices& services);
bool is_declared(const PolicyServices& services, const std::string& name);

api::Response list_policies(api::Call& call, const PolicyServices& services);
api::Response get_policy(api::Call& call, const PolicyServices& services);
// One of `policies`, with its ETag.
api::Response answer_policy(int status, const ListedPolicy& one, const std::vector<Policy>& policies,
                            const PolicyServices& services);

} // namespace holdfast
