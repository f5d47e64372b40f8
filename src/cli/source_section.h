// A source written into holdfast.toml.
#pragma once

#include "cli/configuration.h"

#include <string>

namespace holdfast {

// "[source.NAME]" and its keys, as they stand in the file; those that are empty are left out.
std::string source_section(const SourceConfiguration& source);

// Adds the section at the end of `file`, which is replaced as a whole or not at all, with its mode and owner
// as they were. Throws Error(already_exists) when the file has a source of that name, Error(usage) when it
// cannot be read as a configuration, and what the system throws when it cannot be written.
void append_source(const std::string& file, const SourceConfiguration& source);

} // namespace holdfast
