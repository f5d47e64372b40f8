// A damaged file of the catalog, put out of the way of a new one.
#pragma once

#include "base/clock.h"

#include <optional>
#include <string>

namespace holdfast {

// Reads the file that `url` names from its beginning to its end. When it is damaged, renames it and what
// SQLite keeps beside it, and returns its new name; nothing when it is whole, is not there, or `url` names a
// database server. What does not even begin as a file of SQLite does is renamed within `own_directory` alone:
// elsewhere it may be anybody's, and the name mistyped. Nobody else may use it, nor this process. Throws the
// system's error, and what opening the catalog throws but Error(corrupt).
std::optional<std::string> set_aside_when_damaged(const std::string& url, const std::string& own_directory,
                                                  Clock& clock);

} // namespace holdfast
