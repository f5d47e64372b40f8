#include "watch/rule.h"

#include "base/error.h"

#include <algorithm>

#include <fmt/format.h>

namespace holdfast {

std::string_view to_string(RuleSubject subject) {
    switch (subject) {
    case RuleSubject::source:
        return "source";
    case RuleSubject::repository:
        return "repository";
    case RuleSubject::server:
        return "server";
    case RuleSubject::channel:
        return "channel";
    case RuleSubject::checklist:
        return "checklist";
    }
    return "source";
}

std::string Rule::runbook(std::string_view subject_name) const {
    std::string text = fmt::format("{}\n{}\n", meaning, action);
    for (const std::string_view command : commands) {
        std::string line(command);
        constexpr std::string_view mark = "{subject}";
        for (std::size_t at = line.find(mark); at != std::string::npos;
             at = line.find(mark, at + subject_name.size()))
            line.replace(at, mark.size(), subject_name);
        text += fmt::format("    {}\n", line);
    }
    return text;
}

const Rule* find_rule(std::string_view name) {
    const std::vector<Rule>& rules = all_rules();
    const auto at = std::ranges::find(rules, name, &Rule::name);
    return at == rules.end() ? nullptr : &*at;
}

const RuleSettings* RuleBook::find(const Rule& rule) const {
    const auto at = settings_.find(rule.name);
    return at == settings_.end() ? nullptr : &at->second;
}

bool RuleBook::is_on(const Rule& rule) const {
    const RuleSettings* set = find(rule);
    return set == nullptr || !set->off;
}

Severity RuleBook::severity(const Rule& rule) const {
    const RuleSettings* set = find(rule);
    return set == nullptr ? rule.severity : set->severity.value_or(rule.severity);
}

RuleTiming RuleBook::timing(const Rule& rule) const {
    const RuleSettings* set = find(rule);
    if (set == nullptr) return rule.timing;
    return {.hold_for = set->hold_for.value_or(rule.timing.hold_for),
            .evaluations = set->evaluations.value_or(rule.timing.evaluations),
            .clear_for = set->clear_for.value_or(rule.timing.clear_for),
            .clear_evaluations = set->clear_evaluations.value_or(rule.timing.clear_evaluations)};
}

std::int64_t RuleBook::threshold(const Rule& rule, std::string_view name) const {
    if (const RuleSettings* set = find(rule))
        if (const auto at = set->thresholds.find(name); at != set->thresholds.end()) return at->second;
    const auto at = std::ranges::find(rule.thresholds, name, &Threshold::name);
    if (at == rule.thresholds.end())
        throw Error(ErrorCode::internal, fmt::format("rule {} has no threshold {}", rule.name, name));
    return at->value;
}

} // namespace holdfast
