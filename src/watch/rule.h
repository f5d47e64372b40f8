// The rules: what is watched for, what it means and what to do about it.
#pragma once

#include "watch/severity.h"

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace holdfast {

enum class RuleSubject { source, repository, server, channel, checklist };
std::string_view to_string(RuleSubject subject);

enum class ThresholdUnit { seconds, percent, bytes, count };

// A number that a rule compares with, which the configuration may set.
struct Threshold {
    std::string_view name;
    ThresholdUnit unit = ThresholdUnit::seconds;
    std::int64_t value = 0; // unless it is set
    std::int64_t least = 0, most = 0;
    std::string_view meaning;
};

// When something begins and ceases to be an alert.
struct RuleTiming {
    Duration hold_for{};          // so long it must hold without a break …
    std::int64_t evaluations = 1; // … and be found so many times before it fires
    Duration clear_for{};         // likewise before it is resolved
    std::int64_t clear_evaluations = 1;
    bool operator==(const RuleTiming&) const = default;
};

struct Rule {
    std::string_view name;
    RuleSubject subject = RuleSubject::source;
    Severity severity = Severity::p3;
    RuleTiming timing;
    std::vector<Threshold> thresholds;
    std::string_view title;   // for people: "No backup"
    std::string_view meaning; // what it means, in a sentence or two
    std::string_view action;  // what to do
    // What to type; {subject} stands for the source, repository, server or channel.
    std::vector<std::string_view> commands;

    // Meaning, action and commands, for a notice.
    std::string runbook(std::string_view subject_name) const;
};

// All rules. Their texts live for the whole program.
const std::vector<Rule>& all_rules();
// Null when there is no such rule.
const Rule* find_rule(std::string_view name);

// What the configuration says about a rule.
struct RuleSettings {
    bool off = false;
    std::optional<Severity> severity{};
    std::optional<Duration> hold_for{}, clear_for{};
    std::optional<std::int64_t> evaluations{}, clear_evaluations{};
    std::map<std::string, std::int64_t, std::less<>> thresholds{};
    bool operator==(const RuleSettings&) const = default;
};

// The rules as they are in force: the defaults, with what the configuration changes.
class RuleBook {
  public:
    RuleBook() = default;
    explicit RuleBook(std::map<std::string, RuleSettings, std::less<>> settings)
        : settings_(std::move(settings)) {}

    bool is_on(const Rule& rule) const;
    Severity severity(const Rule& rule) const;
    RuleTiming timing(const Rule& rule) const;
    // Throws Error(internal) when the rule has no such threshold.
    std::int64_t threshold(const Rule& rule, std::string_view name) const;
    const std::map<std::string, RuleSettings, std::less<>>& settings() const { return settings_; }

  private:
    const RuleSettings* find(const Rule& rule) const;

    std::map<std::string, RuleSettings, std::less<>> settings_;
};

// Reads the JSON form of [alert.NAME]: off, severity, hold_for, evaluations, clear_for, clear_evaluations,
// and the thresholds of the rule by their names, lengths of time as "26h". Throws Error(usage) whose field()
// is the path of what is wrong.
RuleSettings parse_rule_settings(const std::string& name, std::string_view json);

} // namespace holdfast
