#include "cli/option_rules.h"

#include "base/error.h"

#include <algorithm>

#include <fmt/format.h>

namespace holdfast {

namespace {

// "--a, --b and --c".
std::string listed(const std::vector<std::string>& names, const char* last) {
    std::string text;
    for (std::size_t i = 0; i < names.size(); ++i) {
        const char* between = i == 0 ? "" : i + 1 < names.size() ? ", " : last;
        text += between + names[i];
    }
    return text;
}

std::vector<std::string> typed_of(const CLI::App& command, const std::vector<const char*>& names) {
    std::vector<std::string> typed;
    for (const char* name : names)
        if (command.count(name) > 0) typed.emplace_back(name);
    return typed;
}

} // namespace

OptionHeading::OptionHeading(CLI::App& command, const char* heading)
    : command_(command), before_(command.option_defaults()->get_group()) {
    command.option_defaults()->group(heading);
}

OptionHeading::~OptionHeading() { command_.option_defaults()->group(before_); }

void refuse_options_under(const CLI::App& command, const char* heading, const std::string& why,
                          const std::string& hint) {
    const std::vector<const CLI::Option*> options = command.get_options([&](const CLI::Option* option) {
        return option->get_group() == heading && option->count() > 0 && !option->get_positional();
    });
    if (options.empty()) return;
    std::vector<std::string> names;
    for (const CLI::Option* option : options) names.push_back("--" + option->get_lnames().front());
    throw Error(
        ErrorCode::usage,
        fmt::format("{} {} {}", listed(names, " and "), names.size() == 1 ? "is" : "are", why),
        fmt::format("leave {} out{}{}", names.size() == 1 ? "it" : "them", hint.empty() ? "" : ", ", hint));
}

void require_needed_options(const CLI::App& command, std::span<const OptionNeed> rules) {
    for (const OptionNeed& rule : rules) {
        if (command.count(rule.option) == 0 || !typed_of(command, rule.needs).empty()) continue;
        const std::vector<std::string> needs(rule.needs.begin(), rule.needs.end());
        throw Error(ErrorCode::usage,
                    fmt::format("{} has no effect without {}", rule.option, listed(needs, " or ")),
                    fmt::format("add {}, or leave {} out", listed(needs, " or "), rule.option));
    }
}

void refuse_options_together(const CLI::App& command, std::span<const ExclusiveOptions> rules) {
    for (const ExclusiveOptions& rule : rules) {
        const std::vector<std::string> typed = typed_of(command, rule);
        if (typed.size() < 2) continue;
        throw Error(ErrorCode::usage, fmt::format("{} exclude each other", listed(typed, " and ")),
                    "leave out all but one");
    }
}

} // namespace holdfast
