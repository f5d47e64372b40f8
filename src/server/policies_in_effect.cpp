#include "server/policies_in_effect.h"

#include "base/error.h"
#include "base/json_text.h"
#include "policy/policy_form.h"

#include <algorithm>

#include <nlohmann/json.hpp>

namespace holdfast {

std::string policy_changes_json(const std::vector<Policy>& before, const std::vector<Policy>& after) {
    using Json = nlohmann::ordered_json;
    const auto said = [](const std::vector<Policy>& policies, const std::string& name) {
        const auto found = std::ranges::find(policies, name, &Policy::name);
        return found == policies.end() ? Json() : Json::parse(policy_json(*found));
    };
    Json changes = Json::array();
    for (const PolicyChange& change : policy_changes(before, after))
        changes.push_back({{"name", change.name},
                           {"change", to_string(change.kind)},
                           {"before", said(before, change.name)},
                           {"after", said(after, change.name)}});
    return json_text(changes);
}

PoliciesInEffect::PoliciesInEffect(PolicyBook& book, const RepositoryObserver& observer,
                                   const std::string& state_directory, const std::vector<Policy>& declared,
                                   Clock& clock, Logger& logger,
                                   std::function<void(const std::string& changes)> taken)
    : book_(book),
      observer_(observer),
      applied_(state_directory, declared),
      clock_(clock),
      logger_(logger),
      taken_(std::move(taken)) {}

void PoliciesInEffect::tell(const std::vector<Policy>& before) const {
    const std::vector<Policy> now = applied_.policies();
    if (!policy_changes(before, now).empty()) taken_(policy_changes_json(before, now));
}

bool PoliciesInEffect::applied_by_others() {
    const std::vector<Policy> before = applied_.policies();
    if (!applied_.look_again()) return false;
    tell(before);
    return true;
}

void PoliciesInEffect::accept(const ServerDeclaration& declaration) {
    const std::vector<Policy> before = applied_.policies();
    applied_.apply(declaration.policies);
    tell(before);
}

std::string PoliciesInEffect::why_retention_waits() const {
    const std::string waits = applied_.waits();
    return waits.empty() ? book_.problem() : waits;
}

void PoliciesInEffect::require_clear(const ServerDeclaration& declaration) const {
    const std::vector<Policy> policies = book_.in_force(declaration.policies);
    for (const MeasuredSource& source : declaration.sources) policy_for(policies, source.name);
}

void PoliciesInEffect::require_harmless(const ServerDeclaration& declaration) const {
    require_clear(declaration);
    const std::vector<std::string> losses = losses_of(declaration);
    if (losses.empty()) return;
    throw Error(ErrorCode::usage, "it keeps less than what is in effect: " + losses_text(losses),
                "'holdfast plan' shows what it would do, 'holdfast apply' does it");
}

bool PoliciesInEffect::settle(const ServerDeclaration& declaration) {
    if (!applied_.waits().empty() && observer_.view()) {
        const std::vector<std::string> losses = losses_of(declaration);
        if (losses.empty()) {
            accept(declaration);
        } else {
            applied_.wait(losses);
        }
    }
    const std::string now = why_retention_waits();
    const std::string before = std::exchange(told_, now);
    if (!now.empty() && now != before)
        logger_.error("nothing is forgotten for now",
                      {{"reason", now}, {"hint", "see 'holdfast plan', then 'holdfast apply'"}});
    return now.empty() != before.empty();
}

std::vector<PolicyChange> PoliciesInEffect::changes_of(const ServerDeclaration& declaration) const {
    return policy_changes(applied_.policies(), declaration.policies);
}

std::vector<std::string> PoliciesInEffect::losses_of(const ServerDeclaration& declaration) const {
    if (changes_of(declaration).empty()) return {};
    // Also of sources that are configured nowhere any more.
    const auto view = observer_.require_view();
    return policy_losses(book_.in_force(applied_.policies()), book_.in_force(declaration.policies),
                         view->measurements.retention, {}, clock_.now());
}

PolicyPlan PoliciesInEffect::plan_of(const ServerDeclaration& declaration, PolicyPlanSettings settings,
                                     const std::stop_token& stop) const {
    require_clear(declaration);
    settings.sources.clear();
    for (const MeasuredSource& source : declaration.sources) settings.sources.push_back(source.name);
    return plan_policies(book_.in_force(applied_.policies()), book_.in_force(declaration.policies),
                         observer_.require_view()->measurements.retention, settings, stop);
}

std::string PoliciesInEffect::judged_by(const ServerDeclaration& declaration) const {
    return policies_text(book_.in_force(applied_.policies())) +
           policies_text(book_.in_force(declaration.policies));
}

} // namespace holdfast
