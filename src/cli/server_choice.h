// Whether a command is done here or at a server, and how that is asked.
#pragma once

#include "cli/command.h"
#include "cli/configuration.h"
#include "client/api_client.h"

#include <string>

namespace holdfast {

// What --server says when nothing but this machine is meant, whatever environment and configuration name.
inline constexpr const char* here_word = "here";

// The URL of the server that is named: by --server, HOLDFAST_SERVER or [client] in that order. Empty: none,
// "here", or --repo was typed, which names a repository to work at from here.
std::string named_server(const GlobalOptions& options, const Configuration& configuration);

// How to run the command `command`: at the server that is named, or here. Throws Error(usage) when a server
// was typed that does not do it, or when it would act on a repository that is not the server's although the
// environment or the configuration names one; and when it takes a server and none is named.
const RunCommand::Body& chosen_body(const RunCommand& run, const CLI::App& command,
                                    const GlobalOptions& options, const Configuration& configuration);

// How the server is asked. The token is of --token-file, HOLDFAST_TOKEN or [client], in that order. Throws
// Error(usage) when there is none, or when its file can be read by others.
ServerAccess server_access(const GlobalOptions& options, const Configuration& configuration);

} // namespace holdfast
