// What commands on a configured source share.
#pragma once

#include "cli/command.h"
#include "cli/configuration.h"
#include "service/measure.h"

namespace holdfast {

// The source `name` of the configuration. One that it does not name is of this kind and has nothing set.
SourceConfiguration source_named(const CommandContext& context, const std::string& name,
                                 std::string_view kind);

// Where what belongs to the source and this repository waits on this machine, a directory of its own: below
// the configured one, XDG_STATE_HOME or HOME. Throws Error(usage) when neither says.
std::string spool_directory_of(const CommandContext& context, const SourceConfiguration& source,
                               const std::string& repository_url);

// What is measured of the sources of a configuration.
std::vector<MeasuredSource> measured_sources(const CommandContext& context,
                                             const std::map<std::string, SourceConfiguration>& of,
                                             const std::string& repository_url);

// Where what commands remember on this machine lies: "holdfast" below XDG_STATE_HOME, or HOME. Throws
// Error(usage) when neither says.
std::string state_directory_of_user();

} // namespace holdfast
