#include "service/stated_policies.h"

#include "base/error.h"
#include "policy/policy_form.h"
#include "service/annotate.h"
#include "service/retention.h"

#include <algorithm>

#include <fmt/format.h>

namespace holdfast {

namespace {

constexpr std::size_t longest_policy_bytes = 128u << 10;

} // namespace

StatedPolicies stated_policies(const StatementList& list) {
    StatedPolicies stated;
    for (const Statement& statement : standing_policies(list.statements)) {
        try {
            Policy policy = parse_policy(statement.name, *statement.value);
            std::string body = policy_json(policy);
            stated.policies.push_back({std::move(policy), std::move(body), statement.id, statement.time});
        } catch (const Error& error) {
            stated.problems.push_back(fmt::format("{}: the policy '{}' is not understood: {}",
                                                  statement_name(statement.id.slot, statement.id.number),
                                                  statement.name, error.message()));
        }
    }
    return stated;
}

std::vector<Policy> policies_in_force(const std::vector<Policy>& declared,
                                      const std::vector<StatedPolicy>& stated) {
    std::vector<Policy> policies = declared;
    for (const StatedPolicy& one : stated)
        if (std::ranges::find(declared, one.policy.name, &Policy::name) == declared.end())
            policies.push_back(one.policy);
    return policies;
}

void require_class_in_force(Repository& repository, const std::vector<Policy>& declared,
                            const std::map<std::string, std::string>& tags) {
    const auto named = tags.find(class_tag);
    if (named == tags.end() || known_classes(declared).contains(named->second)) return;
    const StatementList list = list_statements(repository.context());
    if (list.unreadable > 0) return;
    require_known_class(named->second,
                        known_classes(policies_in_force(declared, stated_policies(list).policies)));
}

StatementId state_policy(Repository& repository, const StatementList& list, const std::string& name,
                         const std::optional<Policy>& policy) {
    require_may(repository, ObjectKind::forget, "say by which policies snapshots are kept");
    Statement statement;
    statement.type = StatementType::policy;
    statement.name = name;
    statement.time = behind_all(repository, list);
    if (policy) statement.value = policy_json(*policy);
    if (statement.value && statement.value->size() > longest_policy_bytes)
        throw Error(ErrorCode::usage, fmt::format("the policy '{}' is longer than 128 KiB", name));
    return put_statement(repository.context(), std::move(statement));
}

} // namespace holdfast
