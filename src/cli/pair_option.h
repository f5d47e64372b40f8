// Names with values as they are typed.
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

namespace holdfast {

// "NAME=VALUE", cut at the first '='. Throws Error(usage) naming `what` when there is none, or no name.
std::pair<std::string, std::string> parse_pair(const std::string& text, const char* what);
// Each of `texts` so; of two with one name the last counts.
std::map<std::string, std::string> parse_pairs(const std::vector<std::string>& texts, const char* what);

} // namespace holdfast
