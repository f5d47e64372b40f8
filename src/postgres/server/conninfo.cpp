#include "postgres/server/conninfo.h"

#include "base/error.h"

#include <memory>

#include <fmt/format.h>
#include <libpq-fe.h>

namespace holdfast::postgres {

std::map<std::string, std::string> parse_conninfo(const std::string& conninfo) {
    char* message = nullptr;
    const std::unique_ptr<PQconninfoOption, decltype(&PQconninfoFree)> options(
        PQconninfoParse(conninfo.c_str(), &message), &PQconninfoFree);
    const std::unique_ptr<char, decltype(&PQfreemem)> why(message, &PQfreemem);
    if (!options) {
        std::string text = why ? why.get() : "out of memory";
        while (text.ends_with('\n')) text.pop_back();
        throw Error(ErrorCode::usage, fmt::format("this is no connection string: {}", text),
                    "such as \"host=/var/run/postgresql dbname=postgres user=holdfast\"");
    }
    std::map<std::string, std::string> values;
    for (const PQconninfoOption* option = options.get(); option->keyword != nullptr; ++option)
        if (option->val != nullptr) values[option->keyword] = option->val;
    return values;
}

std::string to_conninfo(const std::map<std::string, std::string>& values) {
    std::string text;
    for (const auto& [keyword, value] : values) {
        text += fmt::format("{}{}=", text.empty() ? "" : " ", keyword);
        if (!value.empty() && value.find_first_of(" \t\n'\\") == std::string::npos) {
            text += value;
            continue;
        }
        text += '\'';
        for (const char c : value) {
            if (c == '\'' || c == '\\') text += '\\';
            text += c;
        }
        text += '\'';
    }
    return text;
}

} // namespace holdfast::postgres
