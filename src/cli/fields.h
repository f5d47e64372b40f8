// Members of the JSON that a command is about, whether it was made here or at a server. What is absent, or of
// another type, is empty: servers of other versions may leave it out.
#pragma once

#include "base/clock.h"

#include <cstdint>
#include <optional>
#include <string>

#include <nlohmann/json.hpp>

namespace holdfast {

std::string text_in(const nlohmann::json& value, const char* member);
std::uint64_t number_in(const nlohmann::json& value, const char* member);
double real_in(const nlohmann::json& value, const char* member);
bool flag_in(const nlohmann::json& value, const char* member);
// A list or an object to go through.
const nlohmann::json& list_in(const nlohmann::json& value, const char* member);
// A text as it is, anything else as JSON.
std::string plain_text(const nlohmann::json& value);
// The texts of a list.
std::vector<std::string> texts_in(const nlohmann::json& value, const char* member);
// A time as RFC 3339 has it. Throws Error(usage) when it is none.
std::optional<Timestamp> time_in(const nlohmann::json& value, const char* member);
// The same for people: local; `none` when it is absent.
std::string local_time_in(const nlohmann::json& value, const char* member, const char* none = "-");
// The first digits of the id in `member`.
std::string short_id_in(const nlohmann::json& value, const char* member);
bool has(const nlohmann::json& value, const char* member); // and is not null

} // namespace holdfast
