// Asking the person at the terminal.
#pragma once

#include "base/secret.h"

namespace holdfast {

// Asks for a passphrase without showing it; with `twice`, again, to be sure. Throws Error(usage) when there
// is no terminal, when it is empty, or when the two differ.
Secret ask_passphrase(bool twice);

} // namespace holdfast
