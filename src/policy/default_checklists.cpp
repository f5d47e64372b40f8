#include "policy/checklist.h"

namespace holdfast {

const std::vector<Checklist>& default_checklists() {
    static const std::vector<Checklist> lists{
        {.name = "daily",
         .every = ChecklistRhythm::day,
         .items = {{"backups", "Every source has a good backup of today", ChecklistCheck::backups,
                    "holdfast snapshots; holdfast operations list"},
                   {"log", "No log has a gap, and no more of it is unstored than was promised",
                    ChecklistCheck::log, "holdfast status; holdfast window SOURCE"},
                   {"alerts", "No alert of severity P1 or P2 is open", ChecklistCheck::alerts,
                    "holdfast alerts list"},
                   {"space", "The repository has room", ChecklistCheck::space, "holdfast stats"}}},
        {.name = "weekly",
         .every = ChecklistRhythm::week,
         .items = {{"retention", "Retention was enforced", ChecklistCheck::retention,
                    "holdfast retention simulate"},
                   {"window", "Every second that was promised can be restored", ChecklistCheck::window,
                    "holdfast window SOURCE"},
                   {"sizes", "No backup is of an unusual size", ChecklistCheck::sizes, "holdfast snapshots"},
                   {"audit", "The audit trail fits the heads that the repository keeps",
                    ChecklistCheck::audit, "holdfast audit verify"}}},
        {.name = "monthly",
         .every = ChecklistRhythm::month,
         .items = {{"verification", "Every source was verified, and nothing of it is damaged",
                    ChecklistCheck::verification, "holdfast verify --read-data"},
                   {"restore", "Something was restored to see that it can be", ChecklistCheck::restore,
                    "holdfast restore"},
                   {"objectives", "What may be lost, and how long a recovery may take, is still right",
                    std::nullopt, "holdfast policy"},
                   {"deletions", "What was deleted was meant to be", std::nullopt, "holdfast audit export"}}},
        {.name = "quarterly",
         .every = ChecklistRhythm::quarter,
         .items = {{"objectives", "The owners of the data agree with its objectives", std::nullopt,
                    "holdfast policy"},
                   {"access", "Who has tokens and keys still needs them", std::nullopt,
                    "holdfast tokens list; holdfast key list"},
                   {"contacts", "Whom alerts reach is still right", std::nullopt,
                    "holdfast alerts test-channel CHANNEL"},
                   {"runbooks", "Runbooks were read by who would follow them", std::nullopt},
                   {"drill", "The last drill was discussed, and what it found is done", std::nullopt}}},
    };
    return lists;
}

} // namespace holdfast
