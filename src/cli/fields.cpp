#include "cli/fields.h"

#include "base/json_text.h"
#include "cli/command.h"

namespace holdfast {

namespace {

const nlohmann::json* find(const nlohmann::json& value, const char* member) {
    if (!value.is_object()) return nullptr;
    const auto found = value.find(member);
    return found == value.end() ? nullptr : &*found;
}

} // namespace

std::string text_in(const nlohmann::json& value, const char* member) {
    const nlohmann::json* found = find(value, member);
    return found != nullptr && found->is_string() ? found->get<std::string>() : std::string();
}

std::uint64_t number_in(const nlohmann::json& value, const char* member) {
    const nlohmann::json* found = find(value, member);
    const bool fits = found != nullptr && found->is_number_integer() &&
                      (found->is_number_unsigned() || found->get<std::int64_t>() >= 0);
    return fits ? found->get<std::uint64_t>() : 0;
}

double real_in(const nlohmann::json& value, const char* member) {
    const nlohmann::json* found = find(value, member);
    return found != nullptr && found->is_number() ? found->get<double>() : 0;
}

bool flag_in(const nlohmann::json& value, const char* member) {
    const nlohmann::json* found = find(value, member);
    return found != nullptr && found->is_boolean() && found->get<bool>();
}

const nlohmann::json& list_in(const nlohmann::json& value, const char* member) {
    static const nlohmann::json none = nlohmann::json::array();
    const nlohmann::json* found = find(value, member);
    return found != nullptr && found->is_structured() ? *found : none;
}

std::string plain_text(const nlohmann::json& value) {
    return value.is_string() ? value.get<std::string>() : json_text(value);
}

std::vector<std::string> texts_in(const nlohmann::json& value, const char* member) {
    std::vector<std::string> texts;
    for (const nlohmann::json& item : list_in(value, member))
        if (item.is_string()) texts.push_back(item.get<std::string>());
    return texts;
}

std::optional<Timestamp> time_in(const nlohmann::json& value, const char* member) {
    const std::string text = text_in(value, member);
    return text.empty() ? std::nullopt : std::optional(from_rfc3339(text));
}

std::string local_time_in(const nlohmann::json& value, const char* member, const char* none) {
    const auto time = time_in(value, member);
    return time ? local_time(*time) : none;
}

std::string short_id_in(const nlohmann::json& value, const char* member) {
    return short_id(text_in(value, member));
}

bool has(const nlohmann::json& value, const char* member) {
    const nlohmann::json* found = find(value, member);
    return found != nullptr && !found->is_null();
}

} // namespace holdfast
