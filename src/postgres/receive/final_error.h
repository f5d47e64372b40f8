// Which errors end a receiver.
#pragma once

#include "base/error.h"

namespace holdfast::postgres {

// Whether waiting does not mend it. What a server says is waited out, known or not, but for what concerns the
// way to it: before anything was received, a server that refuses the role, or has no such database or slot,
// is more likely named wrongly.
bool ends_receiving(const Error& error, bool received_before);

} // namespace holdfast::postgres
