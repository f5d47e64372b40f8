// What a word may have been meant to be.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace holdfast {

// Those of `names` that somebody who typed `word` may have meant, the closest first: they begin with it, it
// begins with them, or they differ in few letters. At most three.
std::vector<std::string> close_names(std::string_view word, const std::vector<std::string>& names);

} // namespace holdfast
