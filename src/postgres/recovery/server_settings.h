// What a restored server is told so that it runs on this machine, whatever its configuration says.
#pragma once

#include "postgres/recovery/start_cluster.h"

#include <string>
#include <utility>
#include <vector>

namespace holdfast::postgres {

using SettingValues = std::vector<std::pair<std::string, std::string>>;

// Throws Error(usage) for less memory than a server needs.
void check_limits(const StartSettings& settings);

// Makes the configuration files that the data directory lacks, because the original had them elsewhere.
void make_configuration(const std::string& data_directory);

// For the command line, where they win over what the restored configuration says of another machine or of the
// original; later ones win over earlier ones: those that are asked for come last, before them `raised`.
SettingValues server_settings(const StartSettings& settings, const std::string& socket_directory,
                              const SettingValues& raised);

// Whether it is to answer queries before it has recovered.
bool queries_while_recovering(const StartSettings& settings);

} // namespace holdfast::postgres
