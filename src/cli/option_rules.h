// Options that go with others, or with one kind of source only: what would be without effect is refused.
#pragma once

#include "cli/command.h"

#include <span>
#include <string>
#include <vector>

namespace holdfast {

// Under these headings the help lists what is for one kind of source; options under another are for all.
inline constexpr const char* options_for_documents = "For documents";
inline constexpr const char* options_for_paths = "For documents that no source of holdfast.toml names";
inline constexpr const char* options_for_postgresql = "For a PostgreSQL source";

// While one lives, options added to `command` are listed under `heading`.
class OptionHeading {
  public:
    OptionHeading(CLI::App& command, const char* heading);
    ~OptionHeading();
    OptionHeading(const OptionHeading&) = delete;
    OptionHeading& operator=(const OptionHeading&) = delete;

  private:
    CLI::App& command_;
    std::string before_;
};

// Throws Error(usage) that names what was typed of the options under `heading`. `why` ends the sentence "--a
// and --b ...", `hint` that of "leave them out".
void refuse_options_under(const CLI::App& command, const char* heading, const std::string& why,
                          const std::string& hint = {});

// Typed, `option` has an effect only beside one of `needs`.
struct OptionNeed {
    const char* option;
    std::vector<const char*> needs;
};
// Throws Error(usage) for the first that was typed and has nothing that it needs.
void require_needed_options(const CLI::App& command, std::span<const OptionNeed> rules);

// Of each of these one at most makes sense.
using ExclusiveOptions = std::vector<const char*>;
void refuse_options_together(const CLI::App& command, std::span<const ExclusiveOptions> rules);

} // namespace holdfast
