#include "support/tls_client.h"

#include <stdexcept>

#include <gtest/gtest.h>

namespace holdfast::test {

TEST(TlsClient, NoticesThatNobodyIsThere) { EXPECT_THROW(TlsClient(1), std::runtime_error); }

} // namespace holdfast::test
