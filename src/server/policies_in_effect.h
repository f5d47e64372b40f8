// What the server goes by: the policies that the file declares and those that were made by API; and whether
// what the file declares now may take effect.
#pragma once

#include "policy/checklist.h"
#include "policy/policy_change.h"
#include "server/applied_policies.h"
#include "server/policy_book.h"
#include "server/repository_view.h"
#include "server/server_settings.h"
#include "service/policy_plan.h"
#include "watch/channels/channel.h"
#include "watch/rule.h"

#include <functional>
#include <string>
#include <utility>
#include <vector>

namespace holdfast {

// As JSON for the trail: the name of each policy that is another, what it said before, and what it says
// after.
std::string policy_changes_json(const std::vector<Policy>& before, const std::vector<Policy>& after);

// What is declared, and may be declared anew while the server runs.
struct ServerDeclaration {
    std::vector<Policy> policies;
    std::vector<MeasuredSource> sources;
    RuleBook rules{};
    std::vector<ChannelSettings> channels{};
    std::vector<Checklist> checklists{};
    ServerSettings settings{}; // those of a running server stay
    std::string text{};        // that it was read from
};

// Thread-safe but for settle() and accept(), which one thread calls. The arguments outlive it.
class PoliciesInEffect {
  public:
    // `taken` is called with policy_changes_json() when other policies of the file have taken effect than
    // before, by the thread that makes them.
    PoliciesInEffect(
        PolicyBook& book, const RepositoryObserver& observer, const std::string& state_directory,
        const std::vector<Policy>& declared, Clock& clock, Logger& logger,
        std::function<void(const std::string& changes)> taken = [](const std::string&) {});

    // Why nothing may be forgotten now; empty: it may.
    std::string why_retention_waits() const;
    // Whether somebody else has applied something since.
    bool applied_by_others();
    // Throws Error(usage) when policies contradict each other about a source of `declaration`.
    void require_clear(const ServerDeclaration& declaration) const;
    // The same, and when `declaration` keeps less than what is in effect: what was not applied is not taken
    // up by the way. And what losses_of() throws.
    void require_harmless(const ServerDeclaration& declaration) const;
    // Which policies `declaration` would change, and why less of what there is may be kept by it. The second
    // throws Error(unavailable) where something changes and nobody has looked yet at what there is.
    std::vector<PolicyChange> changes_of(const ServerDeclaration& declaration) const;
    std::vector<std::string> losses_of(const ServerDeclaration& declaration) const;
    // The same, and what becomes of the snapshots and of the backups of what is declared; of `settings` all
    // but the sources count. Throws as require_clear(), and Error(unavailable) where nobody has looked yet.
    // Ends with Error(cancelled) when `stop` is requested.
    PolicyPlan plan_of(const ServerDeclaration& declaration, PolicyPlanSettings settings,
                       const std::stop_token& stop) const;
    // What that hangs on: all policies before and after.
    std::string judged_by(const ServerDeclaration& declaration) const;
    // It is in effect from now on.
    void accept(const ServerDeclaration& declaration);
    // As JSON, what it would change of the policies in effect.
    std::string changes_json(const ServerDeclaration& declaration) const {
        return policy_changes_json(applied_.policies(), declaration.policies);
    }
    // Looks again at what the server was started with, if that is not in effect yet. Returns whether
    // retention may go on, or has to wait, from now on.
    bool settle(const ServerDeclaration& declaration);

  private:
    void tell(const std::vector<Policy>& before) const;

    PolicyBook& book_;
    const RepositoryObserver& observer_;
    AppliedPolicies applied_;
    Clock& clock_;
    Logger& logger_;
    std::function<void(const std::string& changes)> taken_;
    std::string told_; // why retention waits, as it was logged last
};

} // namespace holdfast
