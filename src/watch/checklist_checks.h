// What Holdfast sees of checklists for itself: checks, against what was measured. Pure, and never a guess:
// what is not known does not count as well.
#pragma once

#include "policy/checklist.h"
#include "watch/judgement.h"
#include "watch/severity.h"

#include <cstdint>
#include <map>
#include <optional>
#include <string>

namespace holdfast {

// How the audit trail looked when it was last held against the heads that the repository keeps of it.
struct TrailFacts {
    Timestamp at{};
    bool intact = true;
    std::int64_t entries = 0;
    std::size_t heads = 0;        // that it was compared with
    std::size_t other_trails = 0; // that heads were kept of beside it
};

struct ChecklistEvidence {
    const Facts& facts;
    const RuleBook& rules;
    TimeSpan period; // of the list, in which facts.at lies
    std::map<Severity, std::int64_t> open_alerts{};
    std::map<std::string, Timestamp> last_success{}; // of this server's operations, by kind
    std::optional<TrailFacts> trail{};
};

struct CheckFinding {
    Verdict verdict = Verdict::unknown; // clear, breach or unknown
    std::string text{};                 // what was seen, in a line
};

CheckFinding find_by_check(ChecklistCheck check, const ChecklistEvidence& evidence);

} // namespace holdfast
