// Operations as clients see them.
#pragma once

#include "catalog/operations.h"

#include <string>

namespace holdfast::api {

// One JSON object, with progress, the estimate of its end and what that is based on. Without details: for
// lists and events.
std::string operation_json(const Operation& operation, Timestamp now, bool with_details);

} // namespace holdfast::api
