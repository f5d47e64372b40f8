#include "base/error.h"
#include "support/error_matchers.h"

#include <cerrno>
#include <set>

#include <gtest/gtest.h>

namespace holdfast {
namespace {

TEST(ErrorCodes, EachHasANameOfItsOwn) {
    std::set<std::string_view> names;
    int count = 0;
    for (int i = 0; i <= static_cast<int>(ErrorCode::internal); ++i, ++count) {
        names.insert(to_string(static_cast<ErrorCode>(i)));
    }
    EXPECT_EQ(names.size(), static_cast<std::size_t>(count));
    EXPECT_EQ(to_string(ErrorCode::not_found), "not_found");
}

TEST(Error, ContextGoesBeforeTheMessageAndKeepsTheRest) {
    const Error error = Error(ErrorCode::unavailable, "no answer", "try later", true).with_retry_after(2.5);
    const Error outer = error.with_context("putting packs/ab");
    EXPECT_EQ(outer.message(), "putting packs/ab: no answer");
    EXPECT_STREQ(outer.what(), "putting packs/ab: no answer");
    EXPECT_EQ(outer.code(), ErrorCode::unavailable);
    EXPECT_EQ(outer.hint(), "try later");
    EXPECT_TRUE(outer.retryable());
    EXPECT_EQ(outer.retry_after_seconds(), 2.5);
    EXPECT_EQ(outer.with_hint("wait").hint(), "wait");
    EXPECT_EQ(error.message(), "no answer");
}

TEST(Error, InContextPassesValuesAndReferencesThrough) {
    int number = 1;
    in_context("counting", [&]() -> int& { return number; }) = 7;
    EXPECT_EQ(number, 7);
    const auto error = test::error_of([] {
        in_context("outer", [] { in_context("inner", [] { throw Error(ErrorCode::io, "broken"); }); });
    });
    ASSERT_TRUE(error);
    EXPECT_EQ(error->message(), "outer: inner: broken");
}

TEST(SystemError, KnowsWhatTheUserCanActOn) {
    const std::pair<int, ErrorCode> codes[] = {
        {ENOENT, ErrorCode::not_found},
        {EEXIST, ErrorCode::already_exists},
        {EACCES, ErrorCode::access_denied},
        {EPERM, ErrorCode::access_denied},
        {ENOSPC, ErrorCode::no_space},
        {EDQUOT, ErrorCode::no_space},
        {EROFS, ErrorCode::read_only},
        {ETIMEDOUT, ErrorCode::timed_out},
        {ENOTSUP, ErrorCode::unsupported},
        {EIO, ErrorCode::io},
        {EISDIR, ErrorCode::io},
    };
    for (const auto& [number, code] : codes) {
        EXPECT_EQ(to_string(system_error(number, "writing x").code()), to_string(code)) << number;
    }
    EXPECT_EQ(system_error(ENOSPC, "writing x").message(), "writing x: No space left on device");
    EXPECT_FALSE(system_error(ENOSPC, "writing x").hint().empty());
    EXPECT_TRUE(system_error(EAGAIN, "reading").retryable());
    EXPECT_FALSE(system_error(EIO, "reading").retryable());
}

} // namespace
} // namespace holdfast
