// Operations that only say what they would do.
#pragma once

#include "catalog/operations.h"

namespace holdfast {

// By its request; also where that makes no sense.
bool is_trial(const Operation& operation);

} // namespace holdfast
