// How entries of a snapshot are shown.
#pragma once

#include "repository/node/entry.h"

#include <string>

#include <nlohmann/json.hpp>

namespace holdfast {

nlohmann::json entry_json(const std::string& path, const TreeEntry& entry);
// As 'ls -l' does.
std::string entry_line(const std::string& path, const TreeEntry& entry);
// "file", "directory" …
std::string entry_type_name(EntryType type);

} // namespace holdfast
