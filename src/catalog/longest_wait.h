// What a clock that was wrong leaves in the catalog.
#pragma once

#include "base/clock.h"

namespace holdfast {

// Nothing is put off or leased for so long: a time that lies further ahead was written by a clock that was
// ahead, and is right no more.
inline constexpr Duration longest_catalog_wait = std::chrono::hours(2);

} // namespace holdfast
