#include "server/self_tests.h"

#include <nlohmann/json.hpp>

namespace holdfast {

using nlohmann::json;

std::vector<SelfTest> self_tests_of(std::string_view result) {
    std::vector<SelfTest> tests;
    const json trials = json::parse(result, nullptr, false);
    if (!trials.is_array()) return tests;
    for (const json& trial : trials) {
        if (!trial.is_object()) continue;
        const json rule = trial.value("rule", json()), passed = trial.value("passed", json()),
                   channels = trial.value("channels", json());
        if (!rule.is_string() || !passed.is_boolean() || !channels.is_number()) continue;
        tests.push_back({.rule = rule.get<std::string>(),
                         .passed = passed.get<bool>() && !trial.value("reached", json::array()).empty()});
    }
    return tests;
}

void keep_self_tests(Watch& watch, const Operation& operation, const ExecutionOutcome& outcome,
                     Logger& logger) {
    if (operation.kind != "alert-test" || !outcome.result) return;
    try {
        for (const SelfTest& test : self_tests_of(*outcome.result))
            watch.record_self_test(test.rule, test.passed);
    } catch (const std::exception& error) {
        logger.warning("that rules were tried was not kept for metrics",
                       {{"operation", operation.id}, {"reason", std::string(error.what())}});
    }
}

} // namespace holdfast
