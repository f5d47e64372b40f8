#include "repository/json_form.h"

#include "base/error.h"

#include <set>

#include <nlohmann/json.hpp>

namespace holdfast {

using Json = nlohmann::json;

namespace {

constexpr int deepest_nesting = 8;

// Refuses, while parsing, what the JSON library would let through: deep nesting, a member twice, an unknown
// "must-".
class Guard {
  public:
    explicit Guard(const std::string& what) : what_(what) {}

    bool operator()(int depth, Json::parse_event_t event, Json& parsed) {
        if (depth > deepest_nesting) throw Error(ErrorCode::corrupt, what_ + " is nested too deeply");
        if (event == Json::parse_event_t::object_start) members_.emplace_back();
        if (event == Json::parse_event_t::object_end) members_.pop_back();
        if (event == Json::parse_event_t::key) check_member(parsed.get_ref<const std::string&>());
        return true;
    }

  private:
    void check_member(const std::string& name) {
        if (name.starts_with("must-")) {
            throw Error(ErrorCode::incompatible,
                        what_ + " uses \"" + name + "\", which this version does not know",
                        "use a newer version of Holdfast");
        }
        if (!members_.back().insert(name).second) {
            throw Error(ErrorCode::corrupt, what_ + " has the member \"" + name + "\" twice");
        }
    }

    const std::string& what_;
    std::vector<std::set<std::string>> members_;
};

} // namespace

struct JsonReader::State {
    Json value;
    std::string what;

    const Json& member(const JsonReader& reader, std::string_view key) const {
        const auto found = value.find(key);
        if (found == value.end()) reader.fail(key, "is missing");
        return *found;
    }
};

JsonReader::JsonReader(std::unique_ptr<State> state) : state_(std::move(state)) {}
JsonReader::~JsonReader() = default;
JsonReader::JsonReader(JsonReader&&) noexcept = default;
JsonReader& JsonReader::operator=(JsonReader&&) noexcept = default;

JsonReader JsonReader::parse(ByteView text, std::string what, std::size_t limit_bytes) {
    if (text.size() > limit_bytes) throw Error(ErrorCode::corrupt, what + " is larger than it can be");
    auto state = std::make_unique<State>();
    try {
        state->value = Json::parse(text.begin(), text.end(), Guard(what));
    } catch (const Json::exception&) {
        throw Error(ErrorCode::corrupt, what + " is not valid JSON");
    }
    if (!state->value.is_object()) throw Error(ErrorCode::corrupt, what + " is not a JSON object");
    state->what = std::move(what);
    return JsonReader(std::move(state));
}

void JsonReader::fail(std::string_view key, std::string_view why) const {
    throw Error(ErrorCode::corrupt, state_->what + ": \"" + std::string(key) + "\" " + std::string(why));
}

bool JsonReader::has(std::string_view key) const {
    const auto found = state_->value.find(key);
    return found != state_->value.end() && !found->is_null();
}

std::string JsonReader::text(std::string_view key, std::size_t limit_bytes) const {
    const Json& member = state_->member(*this, key);
    if (!member.is_string()) fail(key, "is not a text");
    const auto& value = member.get_ref<const std::string&>();
    if (value.size() > limit_bytes) fail(key, "is too long");
    return value;
}

std::uint64_t JsonReader::number(std::string_view key, std::uint64_t limit) const {
    const Json& member = state_->member(*this, key);
    if (!member.is_number_unsigned()) fail(key, "is not a whole number");
    const auto value = member.get<std::uint64_t>();
    if (value > limit) fail(key, "is too large");
    return value;
}

bool JsonReader::boolean(std::string_view key) const {
    const Json& member = state_->member(*this, key);
    if (!member.is_boolean()) fail(key, "is neither true nor false");
    return member.get<bool>();
}

Timestamp JsonReader::time(std::string_view key) const {
    try {
        return from_rfc3339(text(key, 64));
    } catch (const Error& error) {
        if (error.code() == ErrorCode::usage) fail(key, "is not a time");
        throw;
    }
}

Bytes JsonReader::hex(std::string_view key, std::size_t limit_bytes) const {
    const std::string digits = text(key, 2 * limit_bytes);
    const bool lower = digits.find_first_not_of("0123456789abcdef") == std::string::npos;
    if (!lower || digits.size() % 2 != 0) fail(key, "is not hexadecimal");
    return from_hex(digits);
}

std::vector<std::string> JsonReader::texts(std::string_view key, std::size_t limit_items,
                                           std::size_t limit_bytes) const {
    const Json& member = state_->member(*this, key);
    if (!member.is_array()) fail(key, "is not a list");
    if (member.size() > limit_items) fail(key, "has too many items");
    std::vector<std::string> values;
    for (const Json& item : member) {
        if (!item.is_string() || item.get_ref<const std::string&>().size() > limit_bytes) {
            fail(key, "has an item that is no text or is too long");
        }
        values.push_back(item.get<std::string>());
    }
    return values;
}

JsonReader JsonReader::object(std::string_view key) const {
    const Json& member = state_->member(*this, key);
    if (!member.is_object()) fail(key, "is not an object");
    auto state = std::make_unique<State>();
    state->value = member;
    state->what = state_->what + ", " + std::string(key);
    return JsonReader(std::move(state));
}

std::vector<JsonReader> JsonReader::objects(std::string_view key, std::size_t limit_items) const {
    const Json& member = state_->member(*this, key);
    if (!member.is_array()) fail(key, "is not a list");
    if (member.size() > limit_items) fail(key, "has too many items");
    std::vector<JsonReader> values;
    for (const Json& item : member) {
        if (!item.is_object()) fail(key, "has an item that is no object");
        auto state = std::make_unique<State>();
        state->value = item;
        state->what = state_->what + ", " + std::string(key);
        values.push_back(JsonReader(std::move(state)));
    }
    return values;
}

std::vector<std::string> JsonReader::keys() const {
    std::vector<std::string> names;
    for (const auto& member : state_->value.items()) names.push_back(member.key());
    return names;
}

struct JsonWriter::State {
    Json value = Json::object();

    Json& member(std::string_view key) { return value[std::string(key)]; }
};

JsonWriter::JsonWriter() : state_(std::make_unique<State>()) {}
JsonWriter::~JsonWriter() = default;
JsonWriter::JsonWriter(JsonWriter&&) noexcept = default;
JsonWriter& JsonWriter::operator=(JsonWriter&&) noexcept = default;

JsonWriter& JsonWriter::text(std::string_view key, std::string_view value) {
    state_->member(key) = std::string(value);
    return *this;
}

JsonWriter& JsonWriter::number(std::string_view key, std::uint64_t value) {
    state_->member(key) = value;
    return *this;
}

JsonWriter& JsonWriter::boolean(std::string_view key, bool value) {
    state_->member(key) = value;
    return *this;
}

JsonWriter& JsonWriter::time(std::string_view key, Timestamp value) { return text(key, to_rfc3339(value)); }

JsonWriter& JsonWriter::hex(std::string_view key, ByteView value) { return text(key, to_hex(value)); }

JsonWriter& JsonWriter::texts(std::string_view key, const std::vector<std::string>& values) {
    state_->member(key) = values;
    return *this;
}

JsonWriter& JsonWriter::object(std::string_view key, const JsonWriter& value) {
    state_->member(key) = value.state_->value;
    return *this;
}

JsonWriter& JsonWriter::objects(std::string_view key, const std::vector<JsonWriter>& values) {
    Json list = Json::array();
    for (const JsonWriter& value : values) list.push_back(value.state_->value);
    state_->member(key) = std::move(list);
    return *this;
}

Bytes JsonWriter::finish() const {
    try {
        const std::string text = state_->value.dump();
        return Bytes(text.begin(), text.end());
    } catch (const Json::exception&) {
        throw Error(ErrorCode::usage, "a text is not UTF-8", "write names and labels in UTF-8");
    }
}

} // namespace holdfast
