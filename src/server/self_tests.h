// What came of trying rules of alerts, from the results of the operations that tried them.
#pragma once

#include "base/log.h"
#include "execution/executor.h"
#include "watch/watch.h"

#include <string>
#include <string_view>
#include <vector>

namespace holdfast {

struct SelfTest {
    std::string rule;
    bool passed = false; // it fired, and a channel was told
};

// Of `result`, the JSON that `holdfast alerts test --json` prints. Without those that could not be tried, and
// those that nobody was to be told of, which prove nothing of channels.
std::vector<SelfTest> self_tests_of(std::string_view result);

// Has metrics tell of the rules that were tried, when it is that what has ended. What fails is logged: it
// does not make the test another.
void keep_self_tests(Watch& watch, const Operation& operation, const ExecutionOutcome& outcome,
                     Logger& logger);

} // namespace holdfast
