// The audit trail's head, told to the repository, where whoever changes the catalog cannot change it.
#pragma once

#include "base/log.h"
#include "catalog/audit.h"
#include "repository/repository.h"

#include <optional>

namespace holdfast {

// Not thread-safe. The arguments outlive it.
class AuditHeadKeeper {
  public:
    AuditHeadKeeper(Audit& audit, Clock& clock, Logger& logger)
        : audit_(audit), clock_(clock), logger_(logger) {}

    // Once a day, when the trail has grown; sooner after a failure, which is logged and not thrown.
    void keep(Repository& repository);

  private:
    Audit& audit_;
    Clock& clock_;
    Logger& logger_;
    std::optional<Duration> kept_;  // when
    std::optional<AuditHead> head_; // that the repository has
};

} // namespace holdfast
