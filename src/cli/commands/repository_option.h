// The option that all commands on an existing repository have.
#pragma once

#include "cli/command.h"

namespace holdfast {

inline void add_repository_option(CLI::App& command, std::string& repository) {
    command.add_option("--repo,-r", repository, "The repository: file:///path, /path, or s3://bucket/prefix")
        ->envname("HOLDFAST_REPOSITORY");
}

} // namespace holdfast
