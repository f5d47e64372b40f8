// Names in JSON: they are bytes, and JSON text must be UTF-8.
#pragma once

#include <string>
#include <string_view>

#include <nlohmann/json_fwd.hpp>

namespace holdfast {

// Sets `member` of the object `value` to `bytes` when they are UTF-8: what is read there can be given back to
// a command. Otherwise `member` has them as printable() shows them, and MEMBER_hex the bytes themselves.
void set_bytes(nlohmann::json& value, const std::string& member, std::string_view bytes);

} // namespace holdfast
