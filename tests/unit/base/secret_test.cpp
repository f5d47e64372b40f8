#include "base/secret.h"

#include <type_traits>

#include <gtest/gtest.h>

namespace holdfast {
namespace {

static_assert(!std::is_copy_constructible_v<Secret> && !std::is_copy_assignable_v<Secret>);
static_assert(std::is_nothrow_move_constructible_v<Secret> && std::is_nothrow_move_assignable_v<Secret>);

TEST(Secret, BeginsAsZeros) {
    const Secret secret(32);
    EXPECT_EQ(secret.size(), 32U);
    EXPECT_EQ(to_hex(secret.view()), std::string(64, '0'));
    EXPECT_FALSE(secret.empty());
}

TEST(Secret, EmptyOnesNeedNoMemory) {
    EXPECT_TRUE(Secret().empty());
    EXPECT_TRUE(Secret(0).view().empty());
    EXPECT_TRUE(Secret::copy_of({}).copy().empty());
}

TEST(Secret, ACopyIsItsOwn) {
    Secret secret = Secret::copy_of(as_bytes("key"));
    const Secret copy = secret.copy();
    wipe(secret.mutable_view());
    EXPECT_EQ(to_hex(secret.view()), "000000");
    EXPECT_EQ(as_text(copy.view()), "key");
}

TEST(Secret, WhatWasMovedFromIsEmpty) {
    Secret first = Secret::copy_of(as_bytes("key"));
    Secret second = std::move(first);
    EXPECT_EQ(as_text(second.view()), "key");
    EXPECT_TRUE(first.empty()); // NOLINT(bugprone-use-after-move): this is what is tested
    EXPECT_TRUE(first.view().empty());
    Secret third(8);
    third = std::move(second);
    EXPECT_EQ(as_text(third.view()), "key");
    EXPECT_TRUE(second.copy().empty()); // NOLINT(bugprone-use-after-move): this is what is tested
}

// The guard page behind the bytes: writing past the end ends the program instead of leaking or corrupting.
TEST(SecretDeathTest, WritingPastTheEndIsCaught) {
    testing::FLAGS_gtest_death_test_style = "threadsafe";
    EXPECT_DEATH(
        {
            Secret secret(64);
            volatile Byte* past = secret.mutable_view().data() + 64;
            *past = 1;
        },
        "");
}

TEST(Wipe, LeavesZeros) {
    Bytes bytes(100, 0xff);
    wipe(bytes);
    EXPECT_EQ(bytes, Bytes(100, 0));
    wipe({});
}

} // namespace
} // namespace holdfast
