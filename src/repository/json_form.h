// Reading and writing the JSON bodies of objects: strict, bounded, typed. Hides the JSON library from
// headers.
#pragma once

#include "base/bytes.h"
#include "base/clock.h"
#include "repository/ids.h"

#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace holdfast {

// One JSON object. Every getter throws Error(corrupt) that names the object and the member when the member is
// missing, of another type or beyond its limit. Not thread-safe.
class JsonReader {
  public:
    // Reads `text`, which must be one UTF-8 JSON object with no member twice, at most `limit_bytes` long and
    // nested at most 8 deep. `what` names it in messages. Members whose name begins with "must-" are refused
    // as Error(incompatible), at any depth, because this version knows none.
    static JsonReader parse(ByteView text, std::string what, std::size_t limit_bytes);
    ~JsonReader();
    JsonReader(JsonReader&&) noexcept;
    JsonReader& operator=(JsonReader&&) noexcept;

    // Whether the member is there and is not null.
    bool has(std::string_view key) const;
    std::string text(std::string_view key, std::size_t limit_bytes) const;
    std::uint64_t number(std::string_view key, std::uint64_t limit) const;
    bool boolean(std::string_view key) const;
    // RFC 3339.
    Timestamp time(std::string_view key) const;
    // Lower-case hexadecimal of at most `limit_bytes` bytes.
    Bytes hex(std::string_view key, std::size_t limit_bytes) const;
    template <std::size_t N>
    FixedBytes<N> id(std::string_view key) const {
        const auto value = id_from_hex<N>(text(key, 2 * N));
        if (!value) fail(key, "is not an identifier");
        return *value;
    }
    std::vector<std::string> texts(std::string_view key, std::size_t limit_items,
                                   std::size_t limit_bytes) const;
    JsonReader object(std::string_view key) const;
    std::vector<JsonReader> objects(std::string_view key, std::size_t limit_items) const;
    // The members' names, sorted.
    std::vector<std::string> keys() const;

    [[noreturn]] void fail(std::string_view key, std::string_view why) const;

  private:
    struct State;
    explicit JsonReader(std::unique_ptr<State> state);
    std::unique_ptr<State> state_;
};

// Builds one JSON object. Members are written in the order of their names, so that equal values have equal
// bytes.
class JsonWriter {
  public:
    JsonWriter();
    ~JsonWriter();
    JsonWriter(JsonWriter&&) noexcept;
    JsonWriter& operator=(JsonWriter&&) noexcept;

    JsonWriter& text(std::string_view key, std::string_view value);
    JsonWriter& number(std::string_view key, std::uint64_t value);
    JsonWriter& boolean(std::string_view key, bool value);
    JsonWriter& time(std::string_view key, Timestamp value);
    JsonWriter& hex(std::string_view key, ByteView value);
    JsonWriter& texts(std::string_view key, const std::vector<std::string>& values);
    JsonWriter& object(std::string_view key, const JsonWriter& value);
    JsonWriter& objects(std::string_view key, const std::vector<JsonWriter>& values);
    // Throws Error(usage) when a text is not UTF-8.
    Bytes finish() const;

  private:
    struct State;
    std::unique_ptr<State> state_;
};

} // namespace holdfast
