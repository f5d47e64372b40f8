#include "api/permission.h"

#include <algorithm>
#include <array>

namespace holdfast::api {

namespace {

struct Row {
    Permission permission;
    std::string_view name;
    bool viewer, operator_, restorer, administrator, exporter;
};

constexpr std::array<Row, 11> table{{
    //                                          viewer operator restorer administrator exporter
    {Permission::read, "read", true, true, true, true, false},
    {Permission::back_up, "back_up", false, true, false, true, false},
    {Permission::restore, "restore", false, false, true, true, false},
    {Permission::cancel, "cancel", false, true, true, true, false},
    {Permission::acknowledge, "acknowledge", false, true, false, true, false},
    {Permission::configure, "configure", false, false, false, true, false},
    {Permission::remove, "remove", false, false, false, true, false},
    {Permission::administer, "administer", false, false, false, true, false},
    {Permission::list_backups, "list_backups", true, true, true, true, true},
    {Permission::read_trail, "read_trail", false, false, false, true, true},
    {Permission::read_metrics, "read_metrics", true, true, false, true, true},
}};

const Row& row_of(Permission permission) { return *std::ranges::find(table, permission, &Row::permission); }

} // namespace

std::string_view to_string(Permission permission) { return row_of(permission).name; }

bool allows(TokenRole role, Permission permission) {
    const Row& row = row_of(permission);
    switch (role) {
    case TokenRole::viewer:
        return row.viewer;
    case TokenRole::operator_:
        return row.operator_;
    case TokenRole::restorer:
        return row.restorer;
    case TokenRole::administrator:
        return row.administrator;
    case TokenRole::exporter:
        return row.exporter;
    }
    return false;
}

bool allows(const std::set<TokenRole>& roles, Permission permission) {
    return std::ranges::any_of(roles, [&](TokenRole role) { return allows(role, permission); });
}

std::vector<TokenRole> roles_with(Permission permission) {
    std::vector<TokenRole> roles;
    for (const TokenRole role : {TokenRole::viewer, TokenRole::operator_, TokenRole::restorer,
                                 TokenRole::administrator, TokenRole::exporter})
        if (allows(role, permission)) roles.push_back(role);
    return roles;
}

} // namespace holdfast::api
