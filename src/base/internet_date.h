// Dates as mail and HTTP write them.
#pragma once

#include "base/clock.h"

#include <string>

namespace holdfast {

// "Thu, 29 Feb 2024 23:59:59", in UTC, which both write the same way (RFC 5322, section 3.3; RFC 9110,
// section 5.6.7); what says that it is UTC is for the caller: "GMT" or "+0000".
std::string internet_date(Timestamp time);

} // namespace holdfast
