// What a user or a client wrote, as JSON: read strictly, so that nothing he wrote is without effect.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace holdfast {

// One JSON object. Each getter answers nothing (or something empty) when the member is absent or null, and
// throws Error(usage) with the member's path in message and field() when it is of another type or out of
// bounds. Not thread-safe.
class Form {
  public:
    // Reads `json`, which must be one UTF-8 object with no member twice, at most 1 MiB long and nested at
    // most 16 deep. `path` begins the paths in messages; it may be empty. Throws Error(usage).
    static Form parse(std::string_view json, std::string path);
    ~Form();
    Form(Form&&) noexcept;
    Form& operator=(Form&&) noexcept;

    bool has(std::string_view key) const;
    // Not empty, at most `limit_bytes` long.
    std::optional<std::string> text(std::string_view key, std::size_t limit_bytes = 4096);
    // The text, given to `read`, whose Error(usage) gets the member's path.
    template <typename Read>
    auto text_as(std::string_view key, Read&& read) {
        using Value = decltype(read(std::string()));
        const std::optional<std::string> value = text(key);
        return value ? std::optional<Value>(at(key, [&] { return read(*value); })) : std::nullopt;
    }
    std::optional<bool> flag(std::string_view key);
    std::optional<std::uint64_t> number(std::string_view key, std::uint64_t least, std::uint64_t most);
    // Whether the member is a number, for those that may be one or a text.
    bool is_number(std::string_view key) const;
    // One text counts as a list of one.
    std::vector<std::string> texts(std::string_view key);
    std::map<std::string, std::string> text_map(std::string_view key);
    std::optional<Form> form(std::string_view key);
    // One object counts as a list of one.
    std::vector<Form> forms(std::string_view key);
    // An object of objects.
    std::map<std::string, Form> named_forms(std::string_view key);

    // The path of a member: "policy.production.daily".
    std::string path(std::string_view key) const;
    const std::string& path() const;
    // Throws Error(usage) about a member that nothing asked for.
    void expect_no_more() const;
    [[noreturn]] void fail(std::string_view key, std::string_view why, std::string hint = {}) const;
    // Runs `body`; an Error(usage) that leaves it gets the path of `key`.
    template <typename Body>
    auto at(std::string_view key, Body&& body) const {
        try {
            return body();
        } catch (...) {
            rethrow_at(key);
        }
    }

  private:
    struct State;
    explicit Form(std::unique_ptr<State> state);
    [[noreturn]] void rethrow_at(std::string_view key) const;

    std::unique_ptr<State> state_;
};

} // namespace holdfast
