#include "base/secret_text.h"

#include "base/json_text.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <optional>

#include <nlohmann/json.hpp>

namespace holdfast {

namespace {

using Json = nlohmann::ordered_json;

constexpr std::string_view left_out = "(left out)";
constexpr std::string_view token_head = "hf_";
constexpr std::size_t token_digits = 64;
// A name that ends with one of these is that of a secret, whatever stands in front of it; without the case of
// letters, and without '_' and '-' ("api_key", "Api-Key", "apiKey").
constexpr std::array<std::string_view, 16> secret_names{
    "password", "passwd",     "passphrase",  "passcode",     "pwd",       "secret",
    "token",    "credential", "credentials", "privatekey",   "accesskey", "secretkey",
    "apikey",   "accountkey", "routingkey",  "authorization"};
// Of signed URLs: so short a name must be the whole of it.
constexpr std::array<std::string_view, 2> signature_names{"sig", "x-amz-signature"};

bool is_space(char letter) { return std::isspace(static_cast<unsigned char>(letter)) != 0; }
bool is_hex(char letter) { return std::isxdigit(static_cast<unsigned char>(letter)) != 0; }

bool is_name_letter(char letter) {
    return std::isalnum(static_cast<unsigned char>(letter)) != 0 || letter == '_' || letter == '-';
}

// The name at the end of `text`, in lower case, without dashes in front of it.
std::string name_at_end(std::string_view text) {
    std::size_t begin = text.size();
    while (begin > 0 && is_name_letter(text[begin - 1])) --begin;
    while (begin < text.size() && text[begin] == '-') ++begin;
    std::string name(text.substr(begin));
    std::ranges::transform(name, name.begin(),
                           [](unsigned char letter) { return static_cast<char>(std::tolower(letter)); });
    return name;
}

bool names_a_secret(std::string_view text) {
    std::string name = name_at_end(text);
    if (std::ranges::find(signature_names, name) != signature_names.end()) return true;
    std::erase_if(name, [](char letter) { return letter == '_' || letter == '-'; });
    return std::ranges::any_of(secret_names, [&](std::string_view known) { return name.ends_with(known); });
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

// How many backslashes stand before the quote that `text` begins with: some, in JSON that is itself a text of
// JSON. Nothing when it begins with none.
std::optional<std::size_t> depth_of_quote(std::string_view text) {
    const std::size_t quote = text.find_first_not_of('\\');
    if (quote == std::string_view::npos || (text[quote] != '\'' && text[quote] != '"')) return std::nullopt;
    return quote;
}

// The length of the value at the front of `text`: quoted, with backslashes, or up to the next space.
std::size_t value_length(std::string_view text) {
    const auto depth = depth_of_quote(text);
    if (!depth) return static_cast<std::size_t>(std::ranges::find_if(text, is_space) - text.begin());
    std::size_t slashes = 0;
    for (std::size_t i = *depth + 1; i < text.size(); ++i) {
        if (text[i] == '\\') {
            ++slashes;
            continue;
        }
        // Each backslash of the value itself is as many more.
        if (text[i] == text[*depth] && slashes >= *depth && (slashes - *depth) / (*depth + 1) % 2 == 0)
            return i + 1;
        slashes = 0;
    }
    return text.size();
}

std::size_t spaces_length(std::string_view text) {
    return static_cast<std::size_t>(std::ranges::find_if_not(text, is_space) - text.begin());
}

// Of what stands behind a header's name all of the line is secret: a scheme, and what it takes. So it is of
// "passphrase: several words".
std::size_t secret_length(std::string_view name, char sign, std::string_view text) {
    if (text.starts_with(left_out)) return 0;
    const bool may_have_spaces =
        sign == ':' && (name.ends_with("password") || name.ends_with("passphrase")) && !depth_of_quote(text);
    return may_have_spaces || name.ends_with("authorization") ? std::min(text.find('\n'), text.size())
                                                              : value_length(text);
}

// "name=value" and "name: value", with spaces around the sign as connection strings may have them, and with
// the quotes that JSON has around names.
std::string without_named_values(std::string_view text) {
    std::string out;
    while (!text.empty()) {
        const std::size_t sign = text.find_first_of("=:");
        if (sign == std::string_view::npos) return out.append(text);
        std::string_view name = text.substr(0, sign);
        while (!name.empty() && (is_space(name.back()) || name.back() == '"' || name.back() == '\\'))
            name.remove_suffix(1);
        const char sign_letter = text[sign];
        out += text.substr(0, sign + 1);
        text.remove_prefix(sign + 1);
        if (!names_a_secret(name)) continue;
        const std::size_t spaces = spaces_length(text);
        const std::size_t length = secret_length(name_at_end(name), sign_letter, text.substr(spaces));
        if (length == 0) continue;
        out += left_out;
        text.remove_prefix(spaces + length);
    }
    return out;
}

// "--password value", as command lines have it.
std::string without_option_values(std::string_view text) {
    constexpr std::string_view mark = "--";
    std::string out;
    while (!text.empty()) {
        const std::size_t head = text.find(mark);
        if (head == std::string_view::npos) return out.append(text);
        std::size_t end = head + mark.size();
        while (end < text.size() && is_name_letter(text[end])) ++end;
        const bool is_secret = names_a_secret(text.substr(0, end));
        out += text.substr(0, end);
        text.remove_prefix(end);
        const std::size_t spaces = spaces_length(text);
        const std::string_view value = text.substr(spaces);
        if (!is_secret || spaces == 0 || value.empty() || value.starts_with(left_out)) continue;
        out += " ";
        out += left_out;
        text.remove_prefix(spaces + value_length(value));
    }
    return out;
}

// "Bearer value", wherever it stands (RFC 6750, section 2.1).
std::string without_bearers(std::string_view text) {
    constexpr std::string_view scheme = "bearer";
    std::string out;
    while (!text.empty()) {
        const auto found = std::ranges::search(text, scheme, [](char ours, char theirs) {
            return std::tolower(static_cast<unsigned char>(ours)) == theirs;
        });
        const auto end = static_cast<std::size_t>(found.end() - text.begin());
        out += text.substr(0, end);
        text.remove_prefix(end);
        const std::size_t spaces = spaces_length(text);
        const std::string_view value = text.substr(spaces);
        if (spaces == 0 || value.empty() || value.starts_with(left_out)) continue;
        out += " ";
        out += left_out;
        text.remove_prefix(spaces + value_length(value));
    }
    return out;
}

// Of values that are gone through, and written, by calls that call themselves: the stack has an end.
bool nests_too_deeply(std::string_view json) {
    constexpr std::size_t deepest = 100;
    std::size_t depth = 0;
    bool in_text = false;
    for (std::size_t i = 0; i < json.size(); ++i) {
        const char letter = json[i];
        if (letter == '"') in_text = !in_text;
        if (in_text && letter == '\\') ++i;
        if (in_text) continue;
        if ((letter == '[' || letter == '{') && ++depth > deepest) return true;
        if ((letter == ']' || letter == '}') && depth > 0) --depth;
    }
    return false;
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
    return without_named_values(
        without_option_values(without_bearers(without_url_passwords(without_tokens(text)))));
}

std::string json_without_secrets(std::string_view json) {
    if (nests_too_deeply(json)) return without_secrets(json);
    Json value = Json::parse(json, nullptr, false);
    if (value.is_discarded()) return without_secrets(json);
    return clean(value) ? json_text(value) : std::string(json);
}

} // namespace holdfast
