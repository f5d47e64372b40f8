// Policies as people and programs write them: the same members in holdfast.toml and in JSON.
#pragma once

#include "policy/policy.h"

#include <string>
#include <string_view>
#include <utility>

namespace holdfast {

// Reads the JSON form of the policy `name`, as the guide describes it. Throws Error(usage) whose field() is
// the path of what is wrong, "policy.NAME.retention.daily".
Policy parse_policy(const std::string& name, std::string_view json);
// The JSON form, with the members that are set: parse_policy() reads the same policy from it.
std::string policy_json(const Policy& policy);

// The member of a plan that says when it runs, and its text: "cron" and "30 2 * * *".
std::pair<std::string, std::string> rhythm_member(const Schedule::Rhythm& rhythm);
// The JSON form of one part of a policy: "retention" of it.
std::string retention_json(const RetentionPolicy& retention);
std::string objectives_json(const Objectives& objectives);

} // namespace holdfast
