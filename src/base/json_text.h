// JSON values as compact text.
#pragma once

#include <string>

#include <nlohmann/json_fwd.hpp>

namespace holdfast {

// Bytes that are not UTF-8, as names of files may have, come out as U+FFFD, where dump() alone throws.
std::string json_text(const nlohmann::json& value);
std::string json_text(const nlohmann::ordered_json& value);

} // namespace holdfast
