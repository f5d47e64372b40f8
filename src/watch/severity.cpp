#include "watch/severity.h"

#include "base/error.h"

#include <cctype>
#include <string>

#include <fmt/format.h>

namespace holdfast {

namespace {

struct Level {
    Severity severity;
    std::string_view name, word;
    Duration interval;
};

constexpr std::array<Level, 4> levels{{
    {Severity::p1, "P1", "critical", std::chrono::minutes(15)},
    {Severity::p2, "P2", "high", std::chrono::minutes(30)},
    {Severity::p3, "P3", "medium", std::chrono::hours(1)},
    {Severity::p4, "P4", "low", std::chrono::hours(4)},
}};

const Level& level(Severity severity) { return levels[static_cast<std::size_t>(severity)]; }

} // namespace

std::string_view to_string(Severity severity) { return level(severity).name; }
std::string_view severity_word(Severity severity) { return level(severity).word; }
Duration escalation_interval(Severity severity) { return level(severity).interval; }

Severity severity_from(std::string_view text) {
    std::string lower(text);
    for (char& c : lower) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    for (const Level& known : levels)
        if (lower == known.word || (lower.size() == 2 && lower[0] == 'p' && lower[1] == known.name[1]))
            return known.severity;
    throw Error(ErrorCode::usage, fmt::format("'{}' is no severity", text), "P1, P2, P3 or P4");
}

} // namespace holdfast
