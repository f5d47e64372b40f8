// Who carries an operation out.
#pragma once

#include "catalog/operations.h"

#include <optional>
#include <stop_token>
#include <string>
#include <string_view>

namespace holdfast {

// Where an executor tells how far it is. Thread-safe.
class ExecutionReport {
  public:
    virtual ~ExecutionReport() = default;
    virtual void progress(const OperationProgress& progress) = 0;
    virtual void log(std::string_view level, std::string_view message) = 0;
    // Whether a stop was requested because it is not wanted any more; else it is gone on with later.
    virtual bool is_unwanted() const = 0;
};

struct ExecutionOutcome {
    // succeeded, incomplete, failed, or cancelled when it ended because it was asked to.
    OperationState state = OperationState::failed;
    std::optional<std::string> result{}, error{}; // JSON
    bool retryable = false;                       // of one that failed: the same may succeed later
};

class Executor {
  public:
    virtual ~Executor() = default;
    // Returns when it is done, or soon after a stop. What goes wrong is an outcome, not thrown. Thread-safe.
    virtual ExecutionOutcome carry_out(const Operation& operation, ExecutionReport& report,
                                       const std::stop_token& stop) = 0;
};

// The JSON form of an error, as `holdfast --json` prints it.
std::string error_json(const class Error& error);

} // namespace holdfast
