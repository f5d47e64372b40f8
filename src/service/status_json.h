// What was measured, as programs see it: the same with --json and from the server.
#pragma once

#include "service/measure.h"

#include <nlohmann/json_fwd.hpp>

namespace holdfast {

nlohmann::json to_json(const SourceMeasurement& measurement);

} // namespace holdfast
