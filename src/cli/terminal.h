// Asking the person at the terminal.
#pragma once

#include "base/secret.h"

#include <stop_token>
#include <string>

namespace holdfast {

// Asks for a passphrase without showing it; with `twice`, again, to be sure. Throws Error(usage) when there
// is no terminal, when it is empty, or when the two differ, and Error(cancelled) when `stop` is requested
// meanwhile. However it ends, the terminal shows again what is typed.
Secret ask_passphrase(bool twice, const std::stop_token& stop);
// Asks whether to go on; anything but "y" and "yes" is no. Throws Error(usage) when there is no terminal, and
// Error(cancelled) when `stop` is requested meanwhile.
bool confirm(const std::string& question, const std::stop_token& stop);
// Asks for the code that an authenticator shows. Throws likewise.
std::string ask_code(const std::stop_token& stop);

} // namespace holdfast
