// The option that names an existing repository.
#pragma once

#include "cli/command.h"

namespace holdfast {

inline void add_repository_option(CLI::App& command, std::string& repository) {
    command.add_option("--repo,-r", repository, "The repository: file:///path, /path, or s3://bucket/prefix")
        ->envname("HOLDFAST_REPOSITORY");
}

// Of a command that does its work in several, one after the other.
inline void add_repositories_option(CLI::App& command, std::vector<std::string>& repositories) {
    command
        .add_option("--repo,-r", repositories,
                    "The repository: file:///path, /path, or s3://bucket/prefix; may be repeated")
        ->envname("HOLDFAST_REPOSITORY")
        ->allow_extra_args(false);
}

} // namespace holdfast
