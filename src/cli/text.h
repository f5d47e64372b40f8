// Small words of the command line: counts, quoting, names that were meant.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace holdfast {

// "1 file", "2 files"; with `many` for what does not take an s: counted(2, "directory", "directories").
std::string counted(std::uint64_t number, std::string_view one, std::string_view many = {});

// `text` as one word of a POSIX shell: as it is when nothing in it is special, otherwise in single quotes.
std::string shell_word(std::string_view text);

// Those of `names` that somebody who typed `word` may have meant, the closest first: they begin with it, it
// begins with them, or they differ in few letters. At most three.
std::vector<std::string> close_names(std::string_view word, const std::vector<std::string>& names);

} // namespace holdfast
