#include "cli/at_server.h"
#include "support/error_matchers.h"

#include <gtest/gtest.h>

namespace holdfast {
namespace {

TEST(RequestText, IsRefusedWhereItWouldArriveAsSomethingElse) {
    EXPECT_EQ(request_text({{"note", "seen"}}), R"({"note":"seen"})");
    for (const char* bytes : {"\xff", "a\xc3", "\xed\xa0\x80"})
        EXPECT_EQ(test::code_of([&] { request_text({{"note", bytes}}); }), to_string(ErrorCode::usage))
            << bytes;
}

} // namespace
} // namespace holdfast
