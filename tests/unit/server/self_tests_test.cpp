#include "server/self_tests.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace holdfast {
namespace {

using testing::IsEmpty;
using testing::SizeIs;

TEST(SelfTests, AreOfRulesThatFiredAndReachedSomebody) {
    const auto tests = self_tests_of(
        R"([{"rule": "a", "passed": true, "channels": 1, "reached": ["hook"]},)"
        R"({"rule": "b", "passed": false, "channels": 1, "reached": ["hook"]},)"
        R"({"rule": "c", "passed": true, "channels": 0, "reached": []},)"
        R"({"rule": "not tried", "passed": null, "problem": "it takes root"},)"
        R"({"rule": "nobody was to be told", "passed": true, "channels": null, "reached": []}])");
    ASSERT_THAT(tests, SizeIs(3));
    EXPECT_EQ(tests[0].rule, "a");
    EXPECT_TRUE(tests[0].passed);
    EXPECT_FALSE(tests[1].passed);
    EXPECT_FALSE(tests[2].passed) << "no channel is configured";
}

TEST(SelfTests, AreNotOfWhatIsNoResult) {
    for (const char* result : {"", "null", "{}", R"({"too_large": true})", "[1, null, []]", "[{}]",
                               R"([{"rule": 7, "passed": true, "channels": 1, "reached": ["hook"]}])",
                               R"([{"passed": true, "channels": 1, "reached": ["hook"]}])"})
        EXPECT_THAT(self_tests_of(result), IsEmpty()) << result;
}

} // namespace
} // namespace holdfast
