// Which role may do what: the one table of it.
#pragma once

#include "catalog/tokens.h"

#include <set>
#include <string_view>
#include <vector>

namespace holdfast::api {

enum class Permission {
    read,         // sources, snapshots, windows, operations, policies, alerts
    back_up,      // have backups, verifications and drills made
    restore,      // have data brought back
    cancel,       // stop an operation; who only restores, one of his own
    acknowledge,  // acknowledge, resolve and silence alerts; tick checklists
    configure,    // policies, schedules, channels, plans
    remove,       // whatever lets backups go: retention, pruning, releasing holds
    administer,   // tokens, approvals
    list_backups, // the list of snapshots
    read_trail,   // the audit trail
    read_metrics, // numbers for Prometheus
};
std::string_view to_string(Permission permission);

// Nobody may write or erase the trail: there is no permission for it.
bool allows(TokenRole role, Permission permission);
bool allows(const std::set<TokenRole>& roles, Permission permission);
// The roles that do, for telling who lacks it.
std::vector<TokenRole> roles_with(Permission permission);

} // namespace holdfast::api
