#include "cli/pair_option.h"

#include "base/error.h"

#include <fmt/format.h>

namespace holdfast {

std::pair<std::string, std::string> parse_pair(const std::string& text, const char* what) {
    const std::size_t equals = text.find('=');
    if (equals == std::string::npos || equals == 0)
        throw Error(ErrorCode::usage, fmt::format("{}: '{}' is not of the form NAME=VALUE", what, text));
    return {text.substr(0, equals), text.substr(equals + 1)};
}

std::map<std::string, std::string> parse_pairs(const std::vector<std::string>& texts, const char* what) {
    std::map<std::string, std::string> pairs;
    for (const std::string& text : texts) {
        auto [name, value] = parse_pair(text, what);
        pairs.insert_or_assign(std::move(name), std::move(value));
    }
    return pairs;
}

} // namespace holdfast
