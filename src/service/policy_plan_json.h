// What other policies would do, as programs see it: the same with --json and from the server.
#pragma once

#include "service/policy_plan.h"

#include <nlohmann/json_fwd.hpp>

namespace holdfast {

nlohmann::json to_json(const PolicyPlan& plan);

} // namespace holdfast
