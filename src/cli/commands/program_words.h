// This program, as others shall call it: with the keys and the repository that it was called with.
#pragma once

#include "cli/command.h"

#include <string>
#include <vector>

namespace holdfast {

// The words before a subcommand: the program's path and the options that say how to get at the repository,
// with absolute paths, so that they mean the same from anywhere. A passphrase is not among them. For a
// program that nobody listens to, --quiet is.
enum class Listener { nobody, somebody };
std::vector<std::string> program_words(const CommandContext& context, Listener listener = Listener::nobody);
// The repository, for behind the subcommand: --repo and its URL; nothing when the configuration names it.
std::vector<std::string> repository_words(const std::string& repository_url);

} // namespace holdfast
