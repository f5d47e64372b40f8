#include "catalog/database.h"

#include "base/error.h"
#include "catalog/postgres_database.h"
#include "catalog/sqlite_database.h"
#include "repository/protocol/text_form.h"

#include <charconv>

#include <fmt/format.h>

namespace holdfast {

namespace {

constexpr std::string_view sqlite_scheme = "sqlite:";

[[noreturn]] void refuse(std::size_t column) {
    throw Error(ErrorCode::internal,
                fmt::format("column {} of the catalog's answer is of another type", column));
}

} // namespace

bool SqlRow::is_null(std::size_t column) const {
    return column < values_.size() && std::holds_alternative<std::monostate>(values_[column]);
}
std::int64_t SqlRow::number(std::size_t column) const {
    if (column >= values_.size()) refuse(column);
    if (const auto* number = std::get_if<std::int64_t>(&values_[column])) return *number;
    const auto* text = std::get_if<std::string>(&values_[column]);
    if (text == nullptr) refuse(column);
    std::int64_t number = 0;
    const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), number);
    if (error != std::errc() || end != text->data() + text->size()) refuse(column);
    return number;
}
const std::string& SqlRow::text(std::size_t column) const {
    const auto* text = column < values_.size() ? std::get_if<std::string>(&values_[column]) : nullptr;
    if (text == nullptr) refuse(column);
    return *text;
}
std::optional<std::int64_t> SqlRow::optional_number(std::size_t column) const {
    return is_null(column) ? std::nullopt : std::optional(number(column));
}
std::optional<std::string> SqlRow::optional_text(std::size_t column) const {
    return is_null(column) ? std::nullopt : std::optional(text(column));
}
std::optional<Timestamp> SqlRow::optional_time(std::size_t column) const {
    return is_null(column) ? std::nullopt : std::optional(time(column));
}

void Database::transaction(const std::function<void()>& body) {
    begin();
    try {
        body();
        if (failed())
            throw Error(ErrorCode::internal, "a statement of a transaction of the catalog failed unnoticed");
        execute("COMMIT");
    } catch (...) {
        try {
            execute("ROLLBACK");
        } catch (const Error&) {
            // The session is gone, and its transaction with it; what made it go is the error to tell.
        }
        throw;
    }
}

std::string Database::storable(const std::string& text) {
    if (!is_utf8(text)) return to_text_form(text);
    std::string result;
    for (const char c : text) {
        if (c == '\0') {
            result += "\xEF\xBF\xBD";
        } else {
            result += c;
        }
    }
    return result;
}

std::int64_t single_number(const std::vector<SqlRow>& rows) {
    if (rows.empty()) throw Error(ErrorCode::internal, "the catalog gave no answer where there must be one");
    return rows.front().number(0);
}

std::optional<std::string> sqlite_file(const std::string& url) {
    if (!url.starts_with(sqlite_scheme)) return std::nullopt;
    return url.substr(sqlite_scheme.size());
}

std::unique_ptr<Database> open_database(const std::string& url, Logger& logger) {
    if (const auto file = sqlite_file(url)) return std::make_unique<SqliteDatabase>(*file);
    return std::make_unique<PostgresDatabase>(url, logger);
}

} // namespace holdfast
