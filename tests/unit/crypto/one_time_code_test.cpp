#include "crypto/one_time_code.h"
#include "crypto/sealed_text.h"

#include <gmock/gmock.h>

namespace holdfast {
namespace {

const std::string_view rfc_seed = "12345678901234567890";

std::string code_at(std::int64_t seconds, int digits) {
    return one_time_code(as_bytes(rfc_seed), one_time_step(Timestamp(std::chrono::seconds(seconds))), digits);
}

TEST(OneTimeCode, IsWhatTheStandardSays) {
    // RFC 6238, appendix B.
    EXPECT_EQ(code_at(59, 8), "94287082");
    EXPECT_EQ(code_at(1111111109, 8), "07081804");
    EXPECT_EQ(code_at(1111111111, 8), "14050471");
    EXPECT_EQ(code_at(1234567890, 8), "89005924");
    EXPECT_EQ(code_at(2000000000, 8), "69279037");
    EXPECT_EQ(one_time_code(as_bytes(rfc_seed), 20000000000 / 30, 8), "65353130");
    // RFC 4226, appendix D.
    EXPECT_EQ(one_time_code(as_bytes(rfc_seed), 0), "755224");
    EXPECT_EQ(one_time_code(as_bytes(rfc_seed), 9), "520489");
}

TEST(OneTimeCode, IsFoundOneStepAroundNow) {
    const Timestamp now(std::chrono::seconds(1111111111));
    const std::uint64_t step = one_time_step(now);
    for (const std::uint64_t near : {step - 1, step, step + 1})
        EXPECT_EQ(find_one_time_step(as_bytes(rfc_seed), one_time_code(as_bytes(rfc_seed), near), now), near);
    EXPECT_EQ(find_one_time_step(as_bytes(rfc_seed), one_time_code(as_bytes(rfc_seed), step - 2), now),
              std::nullopt);
    EXPECT_EQ(find_one_time_step(as_bytes(rfc_seed), one_time_code(as_bytes(rfc_seed), step + 2), now),
              std::nullopt);
    EXPECT_EQ(find_one_time_step(as_bytes(rfc_seed), "", now), std::nullopt);
    EXPECT_EQ(find_one_time_step(as_bytes(rfc_seed), "0000000", now), std::nullopt);
}

TEST(OneTimeCode, ItsSeedIsToldInBase32) {
    // RFC 4648, section 10, without padding.
    EXPECT_EQ(to_base32(as_bytes("")), "");
    EXPECT_EQ(to_base32(as_bytes("f")), "MY");
    EXPECT_EQ(to_base32(as_bytes("fo")), "MZXQ");
    EXPECT_EQ(to_base32(as_bytes("foo")), "MZXW6");
    EXPECT_EQ(to_base32(as_bytes("foob")), "MZXW6YQ");
    EXPECT_EQ(to_base32(as_bytes("fooba")), "MZXW6YTB");
    EXPECT_EQ(to_base32(as_bytes("foobar")), "MZXW6YTBOI");
    EXPECT_EQ(authenticator_address(as_bytes("foobar"), "anna"),
              "otpauth://totp/Holdfast:anna?secret=MZXW6YTBOI&issuer=Holdfast");
}

TEST(SealedText, IsOpenedByItsSecretAndPurposeAlone) {
    SeededRandom random(1);
    const std::string sealed = seal_text("secret", "purpose", "text", random);
    EXPECT_EQ(open_text("secret", "purpose", sealed), "text");
    EXPECT_EQ(open_text("Secret", "purpose", sealed), std::nullopt);
    EXPECT_EQ(open_text("secret", "Purpose", sealed), std::nullopt);
    EXPECT_NE(seal_text("secret", "purpose", "text", random), sealed);
    std::string changed = sealed;
    changed[changed.size() / 2] = changed[changed.size() / 2] == 'A' ? 'B' : 'A';
    EXPECT_EQ(open_text("secret", "purpose", changed), std::nullopt);
    EXPECT_EQ(open_text("secret", "purpose", "AAAA"), std::nullopt);
    EXPECT_EQ(open_text("secret", "purpose", "no base64"), std::nullopt);
    EXPECT_EQ(open_text("secret", "purpose", seal_text("secret", "purpose", "", random)), "");
}

} // namespace
} // namespace holdfast
