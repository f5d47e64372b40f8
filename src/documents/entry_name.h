// Names of directory entries: which ones a restore may create, and how messages show them.
#pragma once

#include <string>
#include <string_view>

namespace holdfast {

// Throws Error(corrupt) unless `name` can be the name of one entry of a directory: not empty, not "." or
// "..", without '/' and NUL, at most 4,095 bytes. Every name that comes from a repository passes through here
// before it reaches the file system.
void check_entry_name(std::string_view name);

// `bytes` for people and for JSON: valid UTF-8 stays; control characters, backslashes and bytes that are not
// UTF-8 become \xNN.
std::string printable(std::string_view bytes);

} // namespace holdfast
