// Policies that are kept as statements in the repository, beside those that holdfast.toml declares.
#pragma once

#include "policy/policy.h"
#include "repository/protocol/statement.h"
#include "repository/repository.h"

#include <map>
#include <optional>
#include <string>
#include <vector>

namespace holdfast {

struct StatedPolicy {
    Policy policy;
    std::string body; // as policy_json() writes it
    StatementId statement;
    Timestamp time{}; // since when it is so
};

struct StatedPolicies {
    std::vector<StatedPolicy> policies; // by name
    // Those that this program does not understand. What they keep is not known: nothing may go.
    std::vector<std::string> problems;
};
// Those that the statements say there are. What cannot be read of the list itself is told there.
StatedPolicies stated_policies(const StatementList& list);

// What retention, schedules and measurements go by: what is declared, and what is stated under other names.
std::vector<Policy> policies_in_force(const std::vector<Policy>& declared,
                                      const std::vector<StatedPolicy>& stated);

// Throws Error(usage), which names the classes that there are, when `tags` have a class that is none of them:
// those that mean something by themselves, and those of policies, `declared` ones and others. For who cannot
// read all policies of the repository any class may be one of theirs.
void require_class_in_force(Repository& repository, const std::vector<Policy>& declared,
                            const std::map<std::string, std::string>& tags);

// States that the policy `name` is `policy` from now on, or that there is none any more. Throws Error(usage)
// when it is too long, Error(access_denied) when this key may not forget snapshots, and what put_statement()
// throws. `list` is what the repository says now.
StatementId state_policy(Repository& repository, const StatementList& list, const std::string& name,
                         const std::optional<Policy>& policy);

} // namespace holdfast
