// Lengths of time as they are typed.
#pragma once

#include "base/clock.h"

#include <string>

namespace holdfast {

// "90s", "30m", "2h", "7d". Throws Error(usage) naming `what`.
Duration parse_duration(const std::string& text, const char* what);

} // namespace holdfast
