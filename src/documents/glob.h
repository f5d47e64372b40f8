// Matching one name against one pattern without slashes, byte by byte.
#pragma once

#include <string_view>

namespace holdfast {

// `*` stands for any bytes, `?` for any one byte, `[a-z]` for one byte of a set, `[!a-z]` or `[^a-z]` for one
// that is not in it, and a backslash takes the next byte as it is. In a set, `]` as the first member is an
// ordinary one. No byte is special in the name. Takes at most |pattern| x |name| steps.
bool glob_matches(std::string_view pattern, std::string_view name);

// Why `pattern` can't be one (an unfinished set, a backslash at the end); empty when it can.
std::string_view glob_problem(std::string_view pattern);

// True when `pattern` has none of * ? [ and backslash, so that it matches itself only.
bool glob_is_literal(std::string_view pattern);

} // namespace holdfast
