// What commands share that are about the server.
#pragma once

#include "cli/configuration.h"
#include "server/server_settings.h"

namespace holdfast {

// Below [server] of the configuration. Its state lies in /var/lib/holdfast unless that says otherwise, or
// below the user's own directory for state.
ServerSettings server_settings(const Configuration& configuration);

} // namespace holdfast
