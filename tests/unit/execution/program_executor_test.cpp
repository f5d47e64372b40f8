#include "execution/program_executor.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace holdfast {
namespace {

class Silent final : public ExecutionReport {
  public:
    void progress(const OperationProgress&) override {}
    void log(std::string_view, std::string_view) override {}
    bool is_unwanted() const override { return false; }
};

// What is known of a prune that is carried out by a program that does what `script` says.
ExecutionOutcome outcome_of(const std::string& script) {
    ProgramExecutor executor(
        {.words = {.program = "/bin/sh", .before = {"-c", script, "holdfast"}, .behind = {}},
         .world = [] { return OperationWorld(); }});
    Operation operation;
    operation.kind = "prune";
    operation.request = "{}";
    Silent report;
    return executor.carry_out(operation, report, {});
}
std::string code_of(const ExecutionOutcome& outcome) {
    return nlohmann::json::parse(outcome.error.value_or("{}")).value("code", "");
}

// By the code it is told apart whether it was carried out and found something.
TEST(ProgramExecutor, OnlyWhatHasAResultHasDoneItsWork) {
    EXPECT_EQ(outcome_of(R"(echo '{"intact": true}')").state, OperationState::succeeded);
    const ExecutionOutcome found = outcome_of(R"(echo '{"intact": false}'; exit 1)");
    EXPECT_EQ(found.state, OperationState::failed);
    EXPECT_EQ(found.result, R"({"intact":false})");
    EXPECT_EQ(code_of(found), "failed");
    for (const char* script : {"exit 1", "exit 2", "exit 127", "echo nonsense; exit 1"}) {
        const ExecutionOutcome none = outcome_of(script);
        EXPECT_EQ(none.state, OperationState::failed) << script;
        EXPECT_FALSE(none.result) << script;
        EXPECT_EQ(code_of(none), "internal") << script;
        EXPECT_FALSE(none.retryable) << script;
    }
}

} // namespace
} // namespace holdfast
