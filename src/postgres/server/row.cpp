#include "postgres/server/row.h"

#include <algorithm>

#include <fmt/format.h>

namespace holdfast::postgres {

const std::optional<std::string>& Row::cell(std::string_view column) const {
    const auto found = std::ranges::find(result_->columns, column);
    if (found == result_->columns.end()) fail(column, "no such column");
    return result_->rows.at(row_).at(static_cast<std::size_t>(found - result_->columns.begin()));
}

const std::string& Row::text(std::string_view column) const {
    const std::optional<std::string>& value = cell(column);
    if (!value) fail(column, "NULL");
    return *value;
}

bool Row::boolean(std::string_view column) const {
    const std::string& value = text(column);
    if (value != "t" && value != "f" && value != "on" && value != "off") fail(column, "no truth value");
    return value == "t" || value == "on";
}

std::optional<Lsn> Row::lsn(std::string_view column) const {
    if (is_null(column)) return std::nullopt;
    const std::optional<Lsn> value = parse_lsn(text(column));
    if (!value) fail(column, "no position in the log");
    return value;
}

void Row::fail(std::string_view column, std::string_view why) const {
    throw Error(ErrorCode::internal, fmt::format("column {} of a server's answer: {}", column, why));
}

Row only_row(const QueryResult& result) {
    if (result.rows.size() != 1) {
        throw Error(ErrorCode::internal,
                    fmt::format("a query returned {} rows where one was expected", result.rows.size()));
    }
    return {result, 0};
}

} // namespace holdfast::postgres
