// Small words of the command line: counts, quoting.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace holdfast {

// "1 file", "2 files"; with `many` for what does not take an s: counted(2, "directory", "directories").
std::string counted(std::uint64_t number, std::string_view one, std::string_view many = {});

// `text` as one word of a POSIX shell: as it is when nothing in it is special, otherwise in single quotes.
std::string shell_word(std::string_view text);

} // namespace holdfast
