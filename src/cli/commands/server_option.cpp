#include "cli/commands/server_option.h"

#include "cli/commands/source_option.h"

#include <unistd.h>

namespace holdfast {

ServerSettings server_settings(const Configuration& configuration) {
    const std::string otherwise =
        ::geteuid() == 0 ? "/var/lib/holdfast" : state_directory_of_user() + "/server";
    return parse_server_settings(configuration.server_json, otherwise);
}

} // namespace holdfast
