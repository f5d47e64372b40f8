#include "base/form.h"

#include "base/error.h"

#include <set>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace holdfast {

using Json = nlohmann::json;

namespace {

constexpr std::size_t most_bytes = 1u << 20;
constexpr int deepest_nesting = 16;

Error refusal(const std::string& path, std::string_view why, std::string hint = {}) {
    return Error(ErrorCode::usage, path.empty() ? std::string(why) : fmt::format("{}: {}", path, why),
                 std::move(hint))
        .with_field(path);
}

// Refuses, while parsing, deep nesting and a member twice.
class Guard {
  public:
    explicit Guard(const std::string& path) : path_(path) {}

    bool operator()(int depth, Json::parse_event_t event, Json& parsed) {
        if (depth > deepest_nesting) throw refusal(path_, "is nested too deeply");
        if (event == Json::parse_event_t::object_start) members_.emplace_back();
        if (event == Json::parse_event_t::object_end) members_.pop_back();
        if (event == Json::parse_event_t::key) {
            const auto& name = parsed.get_ref<const std::string&>();
            if (!members_.back().insert(name).second)
                throw refusal(path_, fmt::format("the member \"{}\" is there twice", name));
        }
        return true;
    }

  private:
    const std::string& path_;
    std::vector<std::set<std::string>> members_;
};

} // namespace

struct Form::State {
    Json value;
    std::string path;
    std::set<std::string, std::less<>> asked;

    // The member, or nothing when it is absent or null.
    const Json* find(std::string_view key) {
        asked.emplace(key);
        const auto found = std::as_const(value).find(key);
        return found == value.cend() || found->is_null() ? nullptr : &*found;
    }
};

Form::Form(std::unique_ptr<State> state) : state_(std::move(state)) {}
Form::~Form() = default;
Form::Form(Form&&) noexcept = default;
Form& Form::operator=(Form&&) noexcept = default;

Form Form::parse(std::string_view json, std::string path) {
    if (json.size() > most_bytes) throw refusal(path, "is longer than 1 MiB");
    auto state = std::make_unique<State>();
    try {
        state->value = Json::parse(json, Guard(path));
    } catch (const Json::exception&) {
        throw refusal(path, "this is not valid JSON");
    }
    if (!state->value.is_object()) throw refusal(path, "must be an object");
    state->path = std::move(path);
    return Form(std::move(state));
}

std::string Form::path(std::string_view key) const {
    return state_->path.empty() ? std::string(key) : fmt::format("{}.{}", state_->path, key);
}
const std::string& Form::path() const { return state_->path; }

void Form::fail(std::string_view key, std::string_view why, std::string hint) const {
    throw refusal(path(key), why, std::move(hint));
}

void Form::rethrow_at(std::string_view key) const {
    try {
        throw;
    } catch (const Error& error) {
        if (error.code() != ErrorCode::usage || !error.field().empty()) throw;
        throw error.with_context(path(key)).with_field(path(key));
    }
}

bool Form::has(std::string_view key) const {
    const auto found = state_->value.find(key);
    return found != state_->value.end() && !found->is_null();
}

bool Form::is_number(std::string_view key) const { return has(key) && state_->value.find(key)->is_number(); }

std::optional<std::string> Form::text(std::string_view key, std::size_t limit_bytes) {
    const Json* value = state_->find(key);
    if (value == nullptr) return std::nullopt;
    if (!value->is_string()) fail(key, "must be a text");
    const auto& text = value->get_ref<const std::string&>();
    if (text.empty()) fail(key, "must not be empty");
    if (text.size() > limit_bytes) fail(key, fmt::format("is longer than {} bytes", limit_bytes));
    if (text.find('\0') != std::string::npos) fail(key, "must not hold a zero byte");
    return text;
}

std::optional<bool> Form::flag(std::string_view key) {
    const Json* value = state_->find(key);
    if (value == nullptr) return std::nullopt;
    if (!value->is_boolean()) fail(key, "must be true or false");
    return value->get<bool>();
}

std::optional<std::uint64_t> Form::number(std::string_view key, std::uint64_t least, std::uint64_t most) {
    const Json* value = state_->find(key);
    if (value == nullptr) return std::nullopt;
    if (!value->is_number_unsigned() || value->get<std::uint64_t>() < least ||
        value->get<std::uint64_t>() > most)
        fail(key, fmt::format("must be a whole number from {} to {}", least, most));
    return value->get<std::uint64_t>();
}

std::vector<std::string> Form::texts(std::string_view key) {
    const Json* value = state_->find(key);
    if (value == nullptr) return {};
    if (value->is_string()) return {*text(key)};
    if (!value->is_array()) fail(key, "must be a list of texts");
    std::vector<std::string> texts;
    for (const Json& item : *value) {
        if (!item.is_string() || item.get_ref<const std::string&>().empty())
            fail(key, "must be a list of texts");
        texts.push_back(item.get<std::string>());
    }
    return texts;
}

std::map<std::string, std::string> Form::text_map(std::string_view key) {
    const Json* value = state_->find(key);
    if (value == nullptr) return {};
    if (!value->is_object()) fail(key, "must be an object of texts");
    std::map<std::string, std::string> texts;
    for (const auto& [name, item] : value->items()) {
        if (!item.is_string()) fail(key, "must be an object of texts");
        texts.emplace(name, item.get<std::string>());
    }
    return texts;
}

std::optional<Form> Form::form(std::string_view key) {
    const Json* value = state_->find(key);
    if (value == nullptr) return std::nullopt;
    if (!value->is_object()) fail(key, "must be an object");
    return Form(std::make_unique<State>(*value, path(key)));
}

std::vector<Form> Form::forms(std::string_view key) {
    const Json* value = state_->find(key);
    std::vector<Form> forms;
    if (value == nullptr) return forms;
    if (value->is_object()) {
        forms.push_back(std::move(*form(key)));
        return forms;
    }
    if (!value->is_array()) fail(key, "must be a list of objects");
    for (std::size_t i = 0; i < value->size(); ++i) {
        const std::string item = fmt::format("{}[{}]", key, i);
        if (!(*value)[i].is_object()) fail(item, "must be an object");
        forms.push_back(Form(std::make_unique<State>((*value)[i], path(item))));
    }
    return forms;
}

std::map<std::string, Form> Form::named_forms(std::string_view key) {
    std::map<std::string, Form> forms;
    const Json* value = state_->find(key);
    if (value == nullptr) return forms;
    if (!value->is_object()) fail(key, "must be an object of objects");
    for (const auto& [name, item] : value->items()) {
        const std::string member = fmt::format("{}.{}", key, name);
        if (!item.is_object()) fail(member, "must be an object");
        forms.emplace(name, Form(std::make_unique<State>(item, path(member))));
    }
    return forms;
}

void Form::expect_no_more() const {
    for (const auto& [name, value] : state_->value.items()) {
        if (!state_->asked.contains(name)) fail(name, "there is no such setting");
    }
}

} // namespace holdfast
