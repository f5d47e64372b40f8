// holdfast.toml.

#include "cli/configuration.h"
#include "support/error_matchers.h"

#include <gmock/gmock.h>

namespace holdfast {
namespace {

using testing::HasSubstr;

Configuration parsed(const std::string& text) { return parse_configuration(text, "holdfast.toml"); }

std::string refusal(const std::string& text) {
    try {
        parsed(text);
    } catch (const Error& error) {
        EXPECT_EQ(error.code(), ErrorCode::usage);
        return error.message();
    }
    return "";
}

TEST(ConfigurationTest, ReadsHowToLock) {
    const Configuration set = parsed("[backup]\nlock_days = 30\nlock_mode = \"compliance\"\n");
    EXPECT_EQ(set.backup.lock_days, 30U);
    EXPECT_EQ(set.backup.lock_mode, "compliance");
    EXPECT_EQ(parsed("[backup]\nlock_mode = \"governance\"\n").backup.lock_mode, "governance");
    EXPECT_EQ(parsed("[backup]\nlock_days = 30\n").backup.lock_mode, "") << "governance";
}

TEST(ConfigurationTest, NamesTheLineOfAModeThatIsNone) {
    EXPECT_THAT(
        refusal("[backup]\nlock_days = 30\nlock_mode = \"COMPLIANCE\"\n"),
        AllOf(HasSubstr("line 3"), HasSubstr("backup.lock_mode"), HasSubstr("governance, compliance")));
    EXPECT_THAT(refusal("[backup]\nlock_mode = true\n"), HasSubstr("line 2"));
    EXPECT_THAT(refusal("lock_mode = \"governance\"\n"), HasSubstr("lock_mode"));
}

} // namespace
} // namespace holdfast
