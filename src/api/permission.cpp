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

constexpr std::array<Row, 10> table{{
    //                                          viewer operator restorer administrator exporter
    {Permission::read, "read", true, true, true, true, false},
    {Permission::back_up, "back_up", false, true, false, true, false},
    {Permission::restore, "restore", false, false, true, true, false},
    {Permission::cancel, "cancel", false, true, true, true, false},
    {Permission::acknowledge, "acknowledge", false, true, false, true, false},
    {Permission::configure, "configure", false, false, false, true, false},
    {Permission::remove, "remove", false, false, false, true, false},
    {Permission::administer, "administer", false, false, false, true, false},
    {Permission::read_trail, "read_trail", false, false, false, true, true},
    {Permission::read_metrics, "read_metrics", true, true, false, true, true},
}};

const Row& row_of(Permission permission) { return *std::ranges::find(table, permission, &Row::permission); }

} // namespace

std::string_view to_string(Permission permission) { return row_of(permission).name; }

bool allows(Role role, Permission permission) {
    const Row& row = row_of(permission);
    switch (role) {
    case Role::viewer:
        return row.viewer;
    case Role::operator_:
        return row.operator_;
    case Role::restorer:
        return row.restorer;
    case Role::administrator:
        return row.administrator;
    case Role::exporter:
        return row.exporter;
    }
    return false;
}

bool allows(const std::set<Role>& roles, Permission permission) {
    return std::ranges::any_of(roles, [&](Role role) { return allows(role, permission); });
}

std::vector<Role> roles_with(Permission permission) {
    std::vector<Role> roles;
    for (const Role role :
         {Role::viewer, Role::operator_, Role::restorer, Role::administrator, Role::exporter})
        if (allows(role, permission)) roles.push_back(role);
    return roles;
}

} // namespace holdfast::api
