#include "base/error.h"
#include "execution/holdfast_call.h"
#include "support/error_matchers.h"

#include <gtest/gtest.h>

namespace holdfast {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;

// A program that does what `script` says, with the words as $@.
ProgramWords made(const std::string& script) {
    return {.program = "/bin/sh", .before = {"-c", script, "holdfast"}, .behind = {"--repo", "r"}};
}
std::string ask(const std::string& script) {
    return ask_holdfast(made(script), {"window", "orders"}, hours(1), {});
}

TEST(HoldfastCall, GivesTheWordsAndTakesTheAnswer) {
    EXPECT_EQ(ask(R"(printf '["%s"]' "$*")"),
              R"(["--json --log-format=json --progress=json window orders --repo r"])");
    // Something is missing, and it says so itself.
    EXPECT_EQ(ask(R"(echo '{"gaps": [1]}'; exit 3)"), "{\"gaps\": [1]}\n");
}

TEST(HoldfastCall, ThrowsTheErrorThatItWasTold) {
    try {
        ask(R"(echo '{"error": {"code": "not_found", "message": "no log", "hint": "h", "retryable": true}}'
               exit 1)");
        ADD_FAILURE() << "there was an answer";
    } catch (const Error& error) {
        EXPECT_EQ(error.code(), ErrorCode::not_found);
        EXPECT_EQ(error.message(), "no log");
        EXPECT_EQ(error.hint(), "h");
        EXPECT_TRUE(error.retryable());
    }
    test::expect_error(ErrorCode::internal, [] { ask("echo nonsense; exit 1"); }, "exit code 1");
    test::expect_error(ErrorCode::internal, [] { ask("kill -9 $$"); }, "exit code 137");
}

TEST(HoldfastCall, EndsAtItsLimitAndWhenItIsToStop) {
    test::expect_error(
        ErrorCode::timed_out, [] { ask_holdfast(made("exec sleep 1000"), {"stats"}, milliseconds(50), {}); },
        "holdfast stats");
    std::stop_source stop;
    stop.request_stop();
    test::expect_error(
        ErrorCode::cancelled,
        [&] { ask_holdfast(made("exec sleep 1000"), {"stats"}, hours(1), stop.get_token()); }, "ends");
}

} // namespace
} // namespace holdfast
