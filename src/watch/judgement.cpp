#include "watch/judgement.h"

#include "watch/judge.h"

#include <algorithm>
#include <array>
#include <cmath>

#include <fmt/format.h>

namespace holdfast {

namespace {

double median_of(std::vector<double> values) {
    std::ranges::sort(values);
    const std::size_t half = values.size() / 2;
    return values.size() % 2 == 1 ? values[half] : (values[half - 1] + values[half]) / 2;
}

double logarithm(std::uint64_t value) {
    return std::log(static_cast<double>(std::max<std::uint64_t>(value, 1)));
}

} // namespace

std::vector<Judgement> judge(const Facts& facts, const RuleBook& rules) {
    std::vector<Judgement> judgements;
    Bench bench(facts, rules, judgements);
    for (const SourceFacts& source : facts.sources) {
        judge_backups(bench, source);
        judge_log(bench, source);
    }
    for (const RepositoryFacts& repository : facts.repositories) judge_repository(bench, repository);
    for (const ServerFacts& server : facts.servers) judge_server(bench, server);
    for (const ChannelFacts& channel : facts.channels) judge_channel(bench, channel);
    for (const ChecklistFacts& checklist : facts.checklists) judge_checklist(bench, checklist);
    return judgements;
}

std::optional<HistoryComparison> compare_with_history(std::uint64_t value,
                                                      const std::vector<std::uint64_t>& before,
                                                      std::size_t least, std::int64_t ratio_percent,
                                                      std::int64_t deviations) {
    if (before.empty() || before.size() < least) return std::nullopt;
    std::vector<double> values;
    for (const std::uint64_t one : before) values.push_back(logarithm(one));
    const double median = median_of(values);
    for (double& one : values) one = std::abs(one - median);
    // Of numbers that are spread normally this is their standard deviation.
    const double deviation = 1.4826 * median_of(values);
    const double allowed =
        std::max(std::log(static_cast<double>(std::max<std::int64_t>(ratio_percent, 101)) / 100),
                 static_cast<double>(deviations) * deviation);
    // Rounding must not make a value far that lies right at the border.
    constexpr double rounding = 1e-9;
    return HistoryComparison{.median = std::exp(median),
                             .lowest = std::exp(median - allowed),
                             .highest = std::exp(median + allowed),
                             .is_far = std::abs(logarithm(value) - median) > allowed + rounding};
}

std::string length_text(double seconds) {
    struct Unit {
        std::int64_t seconds;
        std::string_view name;
    };
    constexpr std::array<Unit, 4> units{{{86'400, "d"}, {3'600, "h"}, {60, "min"}, {1, "s"}}};
    if (!std::isfinite(seconds)) return "unknown";
    if (seconds < 0) return "-" + length_text(-seconds);
    auto left = static_cast<std::int64_t>(std::min(std::round(seconds), 1e15));
    for (std::size_t i = 0; i < units.size(); ++i) {
        if (left < units[i].seconds && i + 1 < units.size()) continue;
        std::string text = fmt::format("{} {}", left / units[i].seconds, units[i].name);
        left %= units[i].seconds;
        if (i + 1 < units.size() && left / units[i + 1].seconds > 0)
            text += fmt::format(" {} {}", left / units[i + 1].seconds, units[i + 1].name);
        return text;
    }
    return "0 s";
}

std::string size_text(double bytes) {
    constexpr std::array<std::string_view, 6> units{"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
    std::size_t unit = 0;
    while (bytes >= 1024 && unit + 1 < units.size()) {
        bytes /= 1024;
        ++unit;
    }
    return unit == 0 ? fmt::format("{:.0f} B", bytes) : fmt::format("{:.1f} {}", bytes, units[unit]);
}

} // namespace holdfast
