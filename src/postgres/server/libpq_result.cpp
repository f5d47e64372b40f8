#include "postgres/server/libpq_result.h"

#include <libpq-fe.h>

namespace holdfast::postgres {

namespace {

std::string trimmed(std::string_view text) {
    const std::size_t end = text.find_last_not_of(" \n\r\t");
    return std::string(text.substr(0, end == std::string_view::npos ? 0 : end + 1));
}

} // namespace

ServerMessage message_of(const PGresult* result) {
    const auto field = [&](int which) {
        const char* text = PQresultErrorField(result, which);
        return text == nullptr ? std::string() : trimmed(text);
    };
    ServerMessage said{field(PG_DIAG_SQLSTATE), field(PG_DIAG_MESSAGE_PRIMARY), field(PG_DIAG_MESSAGE_DETAIL),
                       field(PG_DIAG_MESSAGE_HINT), field(PG_DIAG_SOURCE_FUNCTION)};
    if (said.text.empty()) said.text = trimmed(PQresultErrorMessage(result));
    return said;
}

QueryResult rows_of(const PGresult* result) {
    QueryResult all;
    const int columns = PQnfields(result);
    for (int column = 0; column < columns; ++column) all.columns.emplace_back(PQfname(result, column));
    all.rows.resize(static_cast<std::size_t>(PQntuples(result)));
    for (int row = 0; row < PQntuples(result); ++row) {
        QueryResult::Row& values = all.rows[static_cast<std::size_t>(row)];
        for (int column = 0; column < columns; ++column) {
            if (PQgetisnull(result, row, column) != 0) {
                values.emplace_back();
            } else {
                values.emplace_back(std::string(PQgetvalue(result, row, column),
                                                static_cast<std::size_t>(PQgetlength(result, row, column))));
            }
        }
    }
    return all;
}

} // namespace holdfast::postgres
