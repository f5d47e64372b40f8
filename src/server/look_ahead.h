// What a request says of the time that is to be looked at.
#pragma once

#include "api/call.h"

namespace holdfast {

// As if it were the time `at` of the request; `now` when it says none. Throws Error(usage) with the field.
Timestamp asked_time(const api::Call& call, Timestamp now);
// `horizon` of the request, as "10y", later than `from`; ten years when it says none. Throws Error(usage)
// with the field for what is no length of time, or so long that finding it out would keep the server from its
// work.
Timestamp asked_horizon(const api::Call& call, Timestamp from);

} // namespace holdfast
