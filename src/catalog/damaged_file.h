// A damaged file of the catalog, put out of the way of a new one.
#pragma once

#include "base/clock.h"

#include <optional>
#include <string>

namespace holdfast {

// Reads the file that `url` names from its beginning to its end. When it is damaged, or no catalog at all,
// renames it and what SQLite keeps beside it, and returns its new name; nothing when it is whole, is not
// there, or `url` names a database server. Nobody else may use it, nor this process. Throws the system's
// error, and what opening the catalog throws but Error(corrupt).
std::optional<std::string> set_aside_when_damaged(const std::string& url, Clock& clock);

} // namespace holdfast
