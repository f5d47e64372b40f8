// Ed25519 against RFC 8032, sealing against the key agreement of RFC 7748.
#include "base/error.h"
#include "base/random.h"
#include "crypto/aead.h"
#include "crypto/hash.h"
#include "crypto/sign.h"

#include <algorithm>

#include <gtest/gtest.h>

namespace holdfast {
namespace {

Secret secret(std::string_view hex) { return Secret::copy_of(from_hex(hex)); }

template <std::size_t N>
FixedBytes<N> fixed(std::string_view hex) {
    const Bytes bytes = from_hex(hex);
    FixedBytes<N> out;
    EXPECT_EQ(bytes.size(), N);
    std::copy_n(bytes.begin(), N, out.bytes.begin());
    return out;
}

struct Ed25519Vector {
    std::string_view seed, public_key, message, signature;
};

// RFC 8032, section 7.1, tests 1 to 3.
constexpr Ed25519Vector vectors[] = {
    {"9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
     "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
     "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46b"
     "d25bf5f0595bbe24655141438e7a100b"},
    {"4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
     "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "72",
     "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c"
     "387b2eaeb4302aeeb00d291612bb0c00"},
    {"c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
     "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025", "af82",
     "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc659"
     "4a7c15e9716ed28dc027beceea1ec40a"},
};

TEST(Sign, MatchesTheVectorsOfTheRfc) {
    for (const auto& vector : vectors) {
        const SigningKey key(secret(vector.seed));
        EXPECT_EQ(key.public_key().hex(), vector.public_key);
        const Signature signature = key.sign(from_hex(vector.message));
        EXPECT_EQ(signature.hex(), vector.signature);
        EXPECT_TRUE(verify_signature(key.public_key(), from_hex(vector.message), signature));
    }
}

TEST(Sign, EveryFlippedBitIsDetected) {
    const SigningKey key(secret(vectors[2].seed));
    const Bytes message = from_hex("af82");
    const Signature good = key.sign(message);
    for (std::size_t bit = 0; bit < good.size() * 8; ++bit) {
        Signature bad = good;
        bad.bytes[bit / 8] = static_cast<Byte>(bad.bytes[bit / 8] ^ (1U << (bit % 8)));
        ASSERT_FALSE(verify_signature(key.public_key(), message, bad)) << bit;
    }
    EXPECT_FALSE(verify_signature(key.public_key(), from_hex("af83"), good));
    EXPECT_FALSE(verify_signature(SigningKey(secret(vectors[0].seed)).public_key(), message, good));
}

TEST(Sign, AKeyThatIsNoPointVerifiesNothing) {
    PublicKey no_point;
    no_point.bytes.fill(0xff);
    EXPECT_FALSE(verify_signature(no_point, as_bytes("text"), Signature{}));
    EXPECT_FALSE(verify_signature(PublicKey{}, as_bytes("text"), Signature{}));
}

// RFC 7748, section 6.1: two private keys, their public keys, and what they agree on.
constexpr std::string_view alice_private = "77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a";
constexpr std::string_view alice_public = "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a";
constexpr std::string_view bob_private = "5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb";
constexpr std::string_view bob_public = "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f";
constexpr std::string_view shared = "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742";

// Gives the bytes it was made with, so that the ephemeral key is Alice's.
class GivenRandom final : public Random {
  public:
    explicit GivenRandom(Bytes bytes) : bytes_(std::move(bytes)) {}
    void fill(MutableByteView out) override {
        ASSERT_EQ(out.size(), bytes_.size());
        std::copy(bytes_.begin(), bytes_.end(), out.begin());
    }

  private:
    Bytes bytes_;
};

TEST(Box, PublicKeysMatchTheRfc) {
    EXPECT_EQ(BoxKey(secret(alice_private)).public_key().hex(), alice_public);
    EXPECT_EQ(BoxKey(secret(bob_private)).public_key().hex(), bob_public);
}

TEST(Box, SealedFormIsThatOfTheFormatDocument) {
    GivenRandom random(from_hex(alice_private));
    const Bytes sealed = seal_box(fixed<32>(bob_public), as_bytes("purpose"), as_bytes("a secret"), random);
    const Bytes salt = from_hex(std::string(alice_public) + std::string(bob_public));
    Aead expected(hkdf(salt, from_hex(shared), as_bytes("purpose")).view());
    EXPECT_EQ(to_hex(sealed), std::string(alice_public) + to_hex(expected.seal(0, {}, as_bytes("a secret"))));
    const auto opened = BoxKey(secret(bob_private)).open(as_bytes("purpose"), sealed);
    ASSERT_TRUE(opened);
    EXPECT_EQ(as_text(opened->view()), "a secret");
}

TEST(Box, AnotherKeyPurposeOrFlippedBitDoesNotOpen) {
    const BoxKey bob(secret(bob_private));
    const Bytes sealed = seal_box(bob.public_key(), as_bytes("purpose"), as_bytes("text"), system_random());
    EXPECT_TRUE(bob.copy().open(as_bytes("purpose"), sealed));
    EXPECT_FALSE(bob.open(as_bytes("purposf"), sealed));
    EXPECT_FALSE(BoxKey(secret(alice_private)).open(as_bytes("purpose"), sealed));
    for (std::size_t bit = 0; bit < sealed.size() * 8; ++bit) {
        Bytes changed = sealed;
        changed[bit / 8] = static_cast<Byte>(changed[bit / 8] ^ (1U << (bit % 8)));
        ASSERT_FALSE(bob.open(as_bytes("purpose"), changed)) << bit;
    }
    for (std::size_t size = 0; size < sealed.size(); ++size) {
        ASSERT_FALSE(bob.open(as_bytes("purpose"), ByteView(sealed).first(size))) << size;
    }
}

TEST(Box, TwoSealingsOfOneTextDiffer) {
    const BoxKey bob(secret(bob_private));
    EXPECT_NE(seal_box(bob.public_key(), {}, as_bytes("text"), system_random()),
              seal_box(bob.public_key(), {}, as_bytes("text"), system_random()));
}

TEST(Box, RefusesToSealToAPointOfSmallOrder) {
    try {
        seal_box(PublicKey{}, {}, as_bytes("text"), system_random());
        FAIL() << "sealed to a key that everybody knows";
    } catch (const Error& error) {
        EXPECT_EQ(error.code(), ErrorCode::usage);
    }
}

} // namespace
} // namespace holdfast
