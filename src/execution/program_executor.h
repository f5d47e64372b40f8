// The server itself as an executor: each operation is a `holdfast` of its own.
#pragma once

#include "execution/executor.h"
#include "execution/holdfast_call.h"
#include "execution/operation_request.h"

#include <functional>
#include <string>
#include <vector>

namespace holdfast {

struct ProgramExecutorSettings {
    ProgramWords words;
    // What requests are checked against; called for each operation, from its thread.
    std::function<OperationWorld()> world;
    Duration grace = std::chrono::seconds(60); // between the request to stop and the end without asking
};

// Thread-safe.
class ProgramExecutor final : public Executor {
  public:
    explicit ProgramExecutor(ProgramExecutorSettings settings) : settings_(std::move(settings)) {}

    // A backup that was begun before, by a server that was lost, is looked for in the repository first:
    // snapshots that were made bear the operation's id as their tag `operation`.
    ExecutionOutcome carry_out(const Operation& operation, ExecutionReport& report,
                               const std::stop_token& stop) override;

  private:
    std::optional<ExecutionOutcome> backed_up_before(const Operation& operation, ExecutionReport& report,
                                                     const std::stop_token& stop);

    ProgramExecutorSettings settings_;
};

} // namespace holdfast
