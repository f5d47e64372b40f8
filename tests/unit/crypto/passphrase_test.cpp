// Argon2id against outputs of the reference implementation (argon2-cffi's binding of it), and its limits.
#include "base/error.h"
#include "crypto/passphrase.h"

#include <algorithm>
#include <numeric>

#include <gtest/gtest.h>

namespace holdfast {
namespace {

TEST(Passphrase, MatchesTheReferenceImplementation) {
    FixedBytes<16> salt;
    std::iota(salt.bytes.begin(), salt.bytes.end(), Byte{0});
    EXPECT_EQ(to_hex(stretch_passphrase("correct horse battery staple", salt, {65536, 3}).view()),
              "0d1a3c6523c8f06e4e0af9c515aa5b5448cfebd6838f2d52c3d8b6ef8ddc3c2e");
    std::ranges::copy(as_bytes("somesaltsomesalt"), salt.bytes.begin());
    EXPECT_EQ(to_hex(stretch_passphrase("password", salt, {8192, 2}).view()),
              "fd7e44552d83db6b9c2bc9dbd6d88fe0facd11df4654ac21fe8013fd7a05ebc3");
}

TEST(Passphrase, SaltAndEveryCharacterCount) {
    const Argon2Cost cheap{8192, 1};
    const auto key = [&](std::string_view text, Byte salt) {
        FixedBytes<16> bytes;
        bytes.bytes.fill(salt);
        return to_hex(stretch_passphrase(text, bytes, cheap).view());
    };
    EXPECT_NE(key("secret", 1), key("secret", 2));
    EXPECT_NE(key("secret", 1), key("secret ", 1));
    EXPECT_NE(key(std::string_view("a\0b", 3), 1), key("a", 1));
}

TEST(Passphrase, CostsOutOfBoundsAreRefusedBeforeMemoryIsTaken) {
    for (const Argon2Cost cost : {Argon2Cost{8191, 1}, Argon2Cost{4194305, 1}, Argon2Cost{8192, 0},
                                  Argon2Cost{8192, 65}, Argon2Cost{UINT32_MAX, UINT32_MAX}}) {
        try {
            stretch_passphrase("secret", {}, cost);
            FAIL() << cost.memory_kib << " KiB, " << cost.passes;
        } catch (const Error& error) {
            EXPECT_EQ(error.code(), ErrorCode::usage);
            EXPECT_FALSE(error.hint().empty());
        }
    }
}

} // namespace
} // namespace holdfast
