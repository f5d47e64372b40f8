// Reading a row of a query by the names of its columns.
#pragma once

#include "postgres/server/connection.h"
#include "postgres/wal/lsn.h"

#include <charconv>
#include <type_traits>

namespace holdfast::postgres {

// Points into `result`, which must outlive it. A column that is not there, NULL where a value is asked for,
// and text that is no value of the type throw Error(internal): the query and what reads it belong together.
class Row {
  public:
    Row(const QueryResult& result, std::size_t row) : result_(&result), row_(row) {}

    const std::optional<std::string>& cell(std::string_view column) const;
    bool is_null(std::string_view column) const { return !cell(column); }
    const std::string& text(std::string_view column) const;
    // "" for NULL.
    std::string text_or_empty(std::string_view column) const { return cell(column).value_or(""); }
    bool boolean(std::string_view column) const;
    // Nothing for NULL.
    std::optional<Lsn> lsn(std::string_view column) const;
    template <typename T>
    T number(std::string_view column) const {
        static_assert(std::is_arithmetic_v<T>);
        const std::string& value = text(column);
        T parsed{};
        const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), parsed);
        if (error != std::errc() || end != value.data() + value.size()) fail(column, "no number");
        return parsed;
    }
    template <typename T>
    std::optional<T> optional_number(std::string_view column) const {
        return is_null(column) ? std::nullopt : std::optional(number<T>(column));
    }

  private:
    [[noreturn]] void fail(std::string_view column, std::string_view why) const;

    const QueryResult* result_;
    std::size_t row_;
};

// The only row of `result`. Throws Error(internal) when there is another number of them.
Row only_row(const QueryResult& result);

} // namespace holdfast::postgres
