#include "base/shared_library.h"
#include "support/error_matchers.h"

#include <cmath>

#include <gtest/gtest.h>

using namespace holdfast;
using namespace holdfast::test;

TEST(SharedLibraryTest, GivesFunctionsOfTheirTypes) {
    const SharedLibrary library("libm.so.6", "libc6");
    const auto square_root = library.function<double(double)>("sqrt");
    EXPECT_EQ(square_root(6.25), 2.5);
}

TEST(SharedLibraryTest, OneThatIsMissingIsNamedWithItsPackage) {
    const auto error = error_of([] { SharedLibrary("libabsent.so.7", "libabsent7"); });
    ASSERT_TRUE(error);
    EXPECT_EQ(error->code(), ErrorCode::unsupported);
    EXPECT_NE(error->message().find("libabsent.so.7"), std::string::npos) << error->message();
    EXPECT_NE(error->hint().find("libabsent7"), std::string::npos) << error->hint();
}

TEST(SharedLibraryTest, AFunctionThatIsMissingIsNamed) {
    const SharedLibrary library("libm.so.6", "libc6");
    const auto error = error_of([&] { library.function<void()>("no_such_function"); });
    ASSERT_TRUE(error);
    EXPECT_NE(error->message().find("no_such_function"), std::string::npos) << error->message();
}
