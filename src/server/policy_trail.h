// Policies of the file that took effect, in the audit trail, also where the catalog was away at that moment.
#pragma once

#include "base/log.h"
#include "catalog/audit.h"

#include <deque>
#include <string>

namespace holdfast {

// For one thread. The arguments outlive it.
class PolicyTrail {
  public:
    PolicyTrail(Audit& audit, Clock& clock, Logger& logger) : audit_(audit), clock_(clock), logger_(logger) {}

    // `changes` is policy_changes_json(). Enters them, or keeps them while the catalog is away.
    void took_effect(const std::string& changes);
    // Enters those that are kept, each with the time at which it took effect.
    void catch_up();

  private:
    Audit& audit_;
    Clock& clock_;
    Logger& logger_;
    std::deque<std::string> kept_; // details, as JSON
};

} // namespace holdfast
