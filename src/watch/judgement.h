// What the rules say of the facts. Pure: the same facts give the same judgements, and nothing is remembered.
#pragma once

#include "watch/facts.h"
#include "watch/rule.h"

#include <optional>
#include <string>
#include <vector>

namespace holdfast {

enum class Verdict {
    breach,
    between, // neither: an alert that is open stays so, and none begins
    clear,
    unknown, // not measured: whatever was, stays
};

struct Judgement {
    const Rule* rule = nullptr; // of all_rules()
    std::string subject{};      // name of the source, repository, server or channel
    Verdict verdict = Verdict::clear;
    Severity severity = Severity::p3; // of the rule, or worse where the case is
    std::string summary{};            // of a breach or an end: one line with measurement and objective
    std::optional<double> value{}, threshold{};
    std::optional<Timestamp> since{}; // since when it is so, where that can be told
};

// One for each rule that is on and each subject that it applies to.
std::vector<Judgement> judge(const Facts& facts, const RuleBook& rules);

// How far a size or a length of time lies from what those before let expect.
struct HistoryComparison {
    double median = 0;
    double lowest = 0, highest = 0; // outside of these it is far
    bool is_far = false;
};
// Robust against single values that were unusual: by the median and the median absolute deviation of the
// logarithms. Nothing with fewer than `least` values.
std::optional<HistoryComparison> compare_with_history(std::uint64_t value,
                                                      const std::vector<std::uint64_t>& before,
                                                      std::size_t least, std::int64_t ratio_percent,
                                                      std::int64_t deviations);

// "26 h", "3 d 4 h", "12 min", "45 s": the two largest units of a length of time.
std::string length_text(double seconds);
// "1.5 GiB".
std::string size_text(double bytes);

} // namespace holdfast
