// Which errors end a receiver.
#pragma once

#include "base/error.h"

namespace holdfast::postgres {

// Whether it is a mistake of who started the receiver, or a defect: no waiting mends either.
bool is_no_matter_of_time(const Error& error);

// Whether waiting does not mend it. What a server says is waited out, known or not, but for what concerns the
// way to it: before anything was received, a server that refuses the role, or has no such database or slot,
// is more likely named wrongly.
bool ends_receiving(const Error& error, bool received_before);

} // namespace holdfast::postgres
