// Asks for what the plans of policies are due to.
#pragma once

#include "base/log.h"
#include "catalog/operations.h"
#include "policy/schedule.h"

#include <optional>
#include <string>
#include <vector>

namespace holdfast {

// Something that is asked for again and again. Known by kind, source and plan.
struct PlannedOperation {
    std::string kind;
    std::optional<std::string> source;
    std::string plan;
    std::string request; // JSON
    Schedule schedule;
    bool catch_up = true; // a run that was missed is made later
    // The nominal time to go on from when the catalog knows of no run: a plan that never ran is due at once
    // with the beginning of time, and not before its next time with the present. Nothing: that is not known
    // yet, and such a plan waits until it is planned anew.
    std::optional<Timestamp> known_before = Timestamp{};
};

// Not thread-safe. The arguments must outlive it.
class PlanRunner {
  public:
    PlanRunner(Operations& operations, Clock& clock, Logger& logger)
        : operations_(operations), clock_(clock), logger_(logger) {}

    // Replaces what is planned. What was planned before, with the same schedule, keeps its place.
    void plan(std::vector<PlannedOperation> planned);

    struct Round {
        std::size_t asked_for = 0;
        std::optional<Timestamp> next; // when something is due again; nothing: never
    };
    // Asks for what has become due. Whoever else asks for the same, it is asked for once. Throws what the
    // catalog throws; what was not asked for then is at the next round.
    Round round();

  private:
    struct Entry {
        PlannedOperation planned;
        std::optional<Timestamp> last; // the nominal time of its last run; nothing: not looked up yet
        std::optional<Timestamp> next; // when the next one begins; nothing: there is none
    };
    void look_up(Entry& entry);
    static void go_on_from(Entry& entry, Timestamp last);
    bool ask_for_due(Entry& entry, Timestamp now);

    Operations& operations_;
    Clock& clock_;
    Logger& logger_;
    std::vector<Entry> entries_;
};

} // namespace holdfast
