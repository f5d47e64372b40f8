#include "base/error.h"
#include "base/form.h"
#include "policy/period.h"
#include "watch/rule.h"

#include <fmt/format.h>

namespace holdfast {

namespace {

constexpr std::int64_t most_evaluations = 1000;

std::optional<Duration> read_duration(Form& form, std::string_view key) {
    // "0s" is none at all, which is no period.
    if (form.text(key) == "0s") return Duration::zero();
    const auto period = form.text_as(key, [](const std::string& text) { return Period::parse(text, {}); });
    if (!period) return std::nullopt;
    if (period->months != 0) form.fail(key, "must not be in months or years");
    return std::chrono::seconds(period->seconds);
}

std::optional<std::int64_t> read_count(Form& form, std::string_view key, std::int64_t least,
                                       std::int64_t most) {
    const auto number = form.number(key, static_cast<std::uint64_t>(least), static_cast<std::uint64_t>(most));
    return number ? std::optional(static_cast<std::int64_t>(*number)) : std::nullopt;
}

std::optional<std::int64_t> read_threshold(Form& form, const Threshold& threshold) {
    if (threshold.unit != ThresholdUnit::seconds)
        return read_count(form, threshold.name, threshold.least, threshold.most);
    const auto duration = read_duration(form, threshold.name);
    if (!duration) return std::nullopt;
    const std::int64_t seconds = std::chrono::duration_cast<std::chrono::seconds>(*duration).count();
    if (seconds < threshold.least || seconds > threshold.most) {
        form.fail(threshold.name, fmt::format("must be between {} and {}", Period{0, threshold.least}.text(),
                                              Period{0, threshold.most}.text()));
    }
    return seconds;
}

std::string names_of_rules() {
    std::string names;
    for (const Rule& rule : all_rules()) names += fmt::format("{}{}", names.empty() ? "" : ", ", rule.name);
    return names;
}

} // namespace

RuleSettings parse_rule_settings(const std::string& name, std::string_view json) {
    const std::string path = "alert." + name;
    Form form = Form::parse(json, path);
    const Rule* rule = find_rule(name);
    if (rule == nullptr) {
        throw Error(ErrorCode::usage, fmt::format("{}: there is no such rule", path), names_of_rules())
            .with_field(path);
    }
    RuleSettings settings;
    settings.off = form.flag("off").value_or(false);
    settings.severity = form.text_as("severity", [](const std::string& text) { return severity_from(text); });
    settings.hold_for = read_duration(form, "hold_for");
    settings.clear_for = read_duration(form, "clear_for");
    settings.evaluations = read_count(form, "evaluations", 1, most_evaluations);
    settings.clear_evaluations = read_count(form, "clear_evaluations", 1, most_evaluations);
    for (const Threshold& threshold : rule->thresholds)
        if (const auto value = read_threshold(form, threshold))
            settings.thresholds[std::string(threshold.name)] = *value;
    form.expect_no_more();
    return settings;
}

} // namespace holdfast
