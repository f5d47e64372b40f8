// The server itself as an executor: each operation is a `holdfast` of its own.
#pragma once

#include "execution/executor.h"
#include "execution/holdfast_call.h"
#include "execution/operation_request.h"

#include <functional>
#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

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

    // What was begun before, by a server that was lost, is looked for in the repository first: snapshots that
    // were made bear the operation's id as their tag `operation`, and one that was forgotten is not there.
    ExecutionOutcome carry_out(const Operation& operation, ExecutionReport& report,
                               const std::stop_token& stop) override;

  private:
    std::optional<ExecutionOutcome> finished_before(const Operation& operation, const std::stop_token& stop);
    std::optional<ExecutionOutcome> backed_up_before(const Operation& operation, const std::stop_token& stop);
    std::optional<ExecutionOutcome> forgotten_before(const Operation& operation, const std::stop_token& stop);
    // As `holdfast snapshots --json` lists them.
    nlohmann::json snapshots(std::vector<std::string> words, const std::stop_token& stop);

    ProgramExecutorSettings settings_;
};

} // namespace holdfast
