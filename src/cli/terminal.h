// Asking the person at the terminal.
#pragma once

#include "base/secret.h"

#include <stop_token>

namespace holdfast {

// Asks for a passphrase without showing it; with `twice`, again, to be sure. Throws Error(usage) when there
// is no terminal, when it is empty, or when the two differ, and Error(cancelled) when `stop` is requested
// meanwhile. However it ends, the terminal shows again what is typed.
Secret ask_passphrase(bool twice, const std::stop_token& stop);

} // namespace holdfast
