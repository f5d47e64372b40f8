#include "base/error.h"
#include "base/form.h"
#include "policy/checklist.h"

#include <algorithm>

#include <fmt/format.h>

namespace holdfast {

namespace {

constexpr std::size_t longest_name = 40;
constexpr std::size_t longest_text = 500;
constexpr std::size_t most_items = 100;
constexpr std::array all_rhythms{ChecklistRhythm::day, ChecklistRhythm::week, ChecklistRhythm::month,
                                 ChecklistRhythm::quarter};

// They stand in paths of the API.
bool is_name(std::string_view text) {
    return !text.empty() && text.size() <= longest_name && std::ranges::all_of(text, [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
               c == '_';
    });
}
constexpr const char* name_hint = "up to 40 letters, digits, '-' and '_'";

// One of `values`, by its word.
template <typename Values>
auto word_of(const Values& values, const std::string& word) {
    std::string words;
    for (const auto value : values) {
        if (to_string(value) == word) return value;
        words += fmt::format("{}{}", words.empty() ? "" : ", ", to_string(value));
    }
    throw Error(ErrorCode::usage, fmt::format("there is no '{}'", word), "one of " + words);
}

ChecklistItem read_item(Form& form) {
    ChecklistItem item{.name = form.text("name").value_or(""),
                       .text = form.text("text", longest_text).value_or("")};
    if (!is_name(item.name)) form.fail("name", "is missing, or no name for an item", name_hint);
    if (item.text.empty()) form.fail("text", "is missing: what is to be seen to");
    item.check =
        form.text_as("check", [](const std::string& word) { return word_of(all_checklist_checks, word); });
    item.runbook = form.text("runbook", longest_text).value_or("");
    form.expect_no_more();
    return item;
}

std::vector<ChecklistItem> read_items(Form& form) {
    std::vector<ChecklistItem> items;
    for (Form& each : form.forms("item")) {
        ChecklistItem item = read_item(each);
        if (std::ranges::find(items, item.name, &ChecklistItem::name) != items.end())
            each.fail("name", fmt::format("there is an item '{}' already", item.name));
        items.push_back(std::move(item));
    }
    if (items.size() > most_items)
        form.fail("item", fmt::format("may be there {} times at most", most_items));
    return items;
}

} // namespace

std::optional<Checklist> parse_checklist(const std::string& name, std::string_view json) {
    const std::string path = "checklist." + name;
    Form form = Form::parse(json, path);
    if (!is_name(name))
        throw Error(ErrorCode::usage, fmt::format("'{}' is no name for a checklist", name), name_hint)
            .with_field(path);
    const auto& defaults = default_checklists();
    const auto usual = std::ranges::find(defaults, name, &Checklist::name);
    Checklist list{.name = name};
    if (usual != defaults.end()) list = *usual;
    const bool off = form.flag("off").value_or(false);
    const auto every =
        form.text_as("every", [](const std::string& word) { return word_of(all_rhythms, word); });
    if (every) list.every = *every;
    if (const auto zone =
            form.text_as("time_zone", [](const std::string& text) { return TimeZone::named(text); }))
        list.zone = *zone;
    if (auto items = read_items(form); !items.empty()) list.items = std::move(items);
    form.expect_no_more();
    if (off) return std::nullopt;
    if (!every && usual == defaults.end())
        form.fail("every", "is missing", "one of day, week, month, quarter");
    if (list.items.empty())
        form.fail("item", "is missing: a list without items", fmt::format("write [[{}.item]]", path));
    return list;
}

} // namespace holdfast
