#include "base/secret_text.h"

#include "base/json_text.h"

#include <algorithm>
#include <array>
#include <cctype>

#include <nlohmann/json.hpp>

namespace holdfast {

namespace {

using Json = nlohmann::ordered_json;

constexpr std::string_view left_out = "(left out)";
constexpr std::string_view token_head = "hf_";
constexpr std::size_t token_digits = 64;
// A name that ends with one of these is that of a secret, whatever stands in front of it.
constexpr std::array<std::string_view, 7> secret_names{"password", "passwd",      "passphrase", "secret",
                                                       "token",    "private_key", "access_key"};

bool is_space(char letter) { return std::isspace(static_cast<unsigned char>(letter)) != 0; }
bool is_hex(char letter) { return std::isxdigit(static_cast<unsigned char>(letter)) != 0; }

bool names_a_secret(std::string_view name) {
    std::string lower(name);
    std::ranges::transform(lower, lower.begin(), [](unsigned char letter) {
        return letter == '-' ? '_' : static_cast<char>(std::tolower(letter));
    });
    return std::ranges::any_of(secret_names, [&](std::string_view known) { return lower.ends_with(known); });
}

std::string without_tokens(std::string_view text) {
    std::string out;
    while (!text.empty()) {
        const std::size_t head = std::min(text.find(token_head), text.size());
        out += text.substr(0, head);
        text.remove_prefix(head);
        if (text.empty()) break;
        const std::string_view digits = text.substr(token_head.size(), token_digits);
        const bool is_token = digits.size() == token_digits && std::ranges::all_of(digits, is_hex);
        out += token_head;
        if (is_token) out += left_out;
        text.remove_prefix(token_head.size() + (is_token ? token_digits : 0));
    }
    return out;
}

// "scheme://user:password@host": passwords that should have been escaped may have slashes and more.
std::string without_url_passwords(std::string_view text) {
    constexpr std::string_view mark = "://";
    std::string out;
    while (!text.empty()) {
        const std::size_t head = text.find(mark);
        if (head == std::string_view::npos) return out.append(text);
        out += text.substr(0, head + mark.size());
        text.remove_prefix(head + mark.size());
        const auto end = static_cast<std::size_t>(std::ranges::find_if(text, is_space) - text.begin());
        const std::string_view address = text.substr(0, end);
        const std::size_t at = address.rfind('@'), colon = address.find(':');
        if (at == std::string_view::npos || colon > at) continue;
        out += address.substr(0, colon + 1);
        out += left_out;
        text.remove_prefix(at);
    }
    return out;
}

// The length of the value at the front of `text`: quoted, with backslashes, or up to the next space.
std::size_t value_length(std::string_view text) {
    if (text.empty()) return 0;
    const char quote = text.front();
    if (quote != '\'' && quote != '"')
        return static_cast<std::size_t>(std::ranges::find_if(text, is_space) - text.begin());
    for (std::size_t i = 1; i < text.size(); ++i) {
        if (text[i] == '\\') {
            ++i;
        } else if (text[i] == quote) {
            return i + 1;
        }
    }
    return text.size();
}

// "name=value", with spaces around the sign as connection strings may have them.
std::string without_named_values(std::string_view text) {
    std::string out;
    while (!text.empty()) {
        const std::size_t sign = text.find('=');
        if (sign == std::string_view::npos) return out.append(text);
        std::string_view name = text.substr(0, sign);
        while (!name.empty() && is_space(name.back())) name.remove_suffix(1);
        out += text.substr(0, sign + 1);
        text.remove_prefix(sign + 1);
        if (!names_a_secret(name)) continue;
        std::size_t spaces = 0;
        while (spaces < text.size() && is_space(text[spaces])) ++spaces;
        out += left_out;
        text.remove_prefix(spaces + value_length(text.substr(spaces)));
    }
    return out;
}

// Returns whether something was taken out.
bool clean(Json& value) {
    if (value.is_string()) {
        const auto& text = value.get_ref<const std::string&>();
        std::string without = without_secrets(text);
        if (without == text) return false;
        value = std::move(without);
        return true;
    }
    bool changed = false;
    if (value.is_object()) {
        for (auto& [name, member] : value.items()) {
            if (names_a_secret(name) && !member.is_null() && !member.is_boolean()) {
                member = left_out;
                changed = true;
            } else {
                changed = clean(member) || changed;
            }
        }
    } else if (value.is_array()) {
        for (Json& item : value) changed = clean(item) || changed;
    }
    return changed;
}

} // namespace

std::string without_secrets(std::string_view text) {
    return without_named_values(without_url_passwords(without_tokens(text)));
}

std::string json_without_secrets(std::string_view json) {
    Json value = Json::parse(json, nullptr, false);
    if (value.is_discarded()) return without_secrets(json);
    return clean(value) ? json_text(value) : std::string(json);
}

} // namespace holdfast
