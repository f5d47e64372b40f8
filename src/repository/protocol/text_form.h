// Text that came from outside (paths, host names, tags) in JSON: it need not be UTF-8, and JSON text must be.
#pragma once

#include <string>
#include <string_view>

namespace holdfast {

// Whether `text` is well-formed UTF-8 (Unicode 15, table 3-7): no overlong forms, no surrogates.
bool is_utf8(std::string_view text);

// `text` itself when it is UTF-8 and does not begin with "hex:"; else "hex:" and its bytes in hexadecimal.
std::string to_text_form(std::string_view text);
// Throws Error(corrupt) on anything that to_text_form would not have made.
std::string from_text_form(std::string_view form);

} // namespace holdfast
