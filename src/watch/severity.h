// How bad something is, and how soon somebody must have said that he has seen it.
#pragma once

#include "base/clock.h"

#include <array>
#include <string_view>

namespace holdfast {

enum class Severity { p1, p2, p3, p4 }; // from the worst on

inline constexpr std::array<Severity, 4> all_severities{Severity::p1, Severity::p2, Severity::p3,
                                                        Severity::p4};

// "P1" … "P4".
std::string_view to_string(Severity severity);
// Reads what to_string() writes, in either case, and the words. Throws Error(usage).
Severity severity_from(std::string_view text);
// "critical", "high", "medium", "low".
std::string_view severity_word(Severity severity);
// After how long without an acknowledgement the next step of the chain is told: 15 min, 30 min, 1 h, 4 h.
Duration escalation_interval(Severity severity);

} // namespace holdfast
