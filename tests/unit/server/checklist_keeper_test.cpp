#include "server/checklist_keeper.h"

#include <gtest/gtest.h>

namespace holdfast {
namespace {

TEST(ChecklistKeeper, ATrialOrAPartIsNoRetentionThatWasEnforced) {
    const auto counts = [](const char* kind, const char* request, std::optional<std::string> source = {}) {
        Operation operation;
        operation.kind = kind;
        operation.source = std::move(source);
        operation.request = request;
        return counts_for_checklists(operation);
    };
    EXPECT_TRUE(counts("retention", "{}"));
    EXPECT_TRUE(counts("retention", R"({"dry_run": false, "trust_clock": true})"));
    EXPECT_TRUE(counts("retention", R"({"dry_run": null})"));
    EXPECT_FALSE(counts("retention", R"({"dry_run": true})"));
    EXPECT_FALSE(counts("retention", R"({"dry_run": "yes"})"));
    EXPECT_FALSE(counts("retention", "{}", "home"));
    EXPECT_FALSE(counts("retention", "not what it should be"));
    EXPECT_TRUE(counts("restore", "{}", "home"));
}

} // namespace
} // namespace holdfast
