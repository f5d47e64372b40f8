// What may follow on a command line that is being typed, from the tree of commands itself.
#pragma once

#include "cli/command.h"

#include <functional>
#include <string>
#include <vector>

namespace holdfast {

struct Proposal {
    std::string word;
    std::string description{}; // of one line; may be empty
};

struct Completion {
    std::vector<Proposal> proposals{};
    bool files = false; // names of files may stand there too
};

// Names that are known at run time: of the sources, rules, channels and checklists that `what` ("SOURCE",
// "RULE", "CHANNEL", "LIST") asks for.
using KnownNames = std::function<std::vector<std::string>(const std::string& what)>;

// `words` are those behind the program's name, the last the one that is being typed, perhaps empty. What
// bash makes words of, a "=" by itself, is understood. Proposals begin with what was typed.
Completion complete(const CLI::App& app, std::vector<std::string> words, const KnownNames& names);

// The script that a shell ("bash", "zsh", "fish") reads to complete commands of this program.
std::string completion_script(const std::string& shell);

} // namespace holdfast
