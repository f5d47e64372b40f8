// AES-256-GCM against the vectors of McGrew and Viega (zero nonces), against OpenSSL used directly for nonces
// and associated data, and against every single flipped bit.
#include "crypto/aead.h"

#include <gtest/gtest.h>
#include <openssl/evp.h>

namespace holdfast {
namespace {

// One message by OpenSSL's plainest calls: what the class must agree with.
Bytes seal_plainly(ByteView key, ByteView nonce, ByteView associated, ByteView plain) {
    EVP_CIPHER_CTX* context = EVP_CIPHER_CTX_new();
    Bytes out(plain.size() + 16);
    int written = 0;
    EXPECT_EQ(EVP_EncryptInit_ex(context, EVP_aes_256_gcm(), nullptr, key.data(), nonce.data()), 1);
    EVP_EncryptUpdate(context, nullptr, &written, associated.data(), static_cast<int>(associated.size()));
    EVP_EncryptUpdate(context, out.data(), &written, plain.data(), static_cast<int>(plain.size()));
    EVP_EncryptFinal_ex(context, out.data() + plain.size(), &written);
    EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_GCM_GET_TAG, 16, out.data() + plain.size());
    EVP_CIPHER_CTX_free(context);
    return out;
}

TEST(Aead, MatchesTestCase13AnEmptyMessage) {
    Aead aead(Bytes(32, 0));
    EXPECT_EQ(to_hex(aead.seal(0, {}, {})), "530f8afbc74536b9a963b4f1c4cb738b");
}

TEST(Aead, MatchesTestCase14OneBlock) {
    Aead aead(Bytes(32, 0));
    EXPECT_EQ(to_hex(aead.seal(0, {}, Bytes(16, 0))),
              "cea7403d4d606b6e074ec5d3baf39d18d0d1c8a799996bf0265b98b5d48ab919");
}

TEST(Aead, NonceIsTheNumberLittleEndianThenZeros) {
    // Key, text and associated data of test case 16.
    const Bytes key = from_hex("feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308");
    const Bytes plain = from_hex("d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
                                 "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39");
    const Bytes associated = from_hex("feedfacedeadbeeffeedfacedeadbeefabaddad2");
    EXPECT_EQ(to_hex(seal_plainly(key, from_hex("cafebabefacedbaddecaf888"), associated, plain)),
              "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
              "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f66276fc6ece0f4e1768cddf8853bb2d551b");
    Aead aead(key);
    EXPECT_EQ(aead.seal(0x04030201, associated, plain),
              seal_plainly(key, from_hex("010203040000000000000000"), associated, plain));
    // The same object again, with another nonce: nothing of the first message may linger.
    EXPECT_EQ(aead.seal(0xfffffffe, associated, plain),
              seal_plainly(key, from_hex("feffffff0000000000000000"), associated, plain));
}

TEST(Aead, OpensWhatItSealedInAnyOrder) {
    Aead sealing(Bytes(32, 9));
    Aead opening(Bytes(32, 9));
    const Bytes first = sealing.seal(1, as_bytes("a"), as_bytes("first"));
    const Bytes second = sealing.seal(2, as_bytes("b"), as_bytes("the second"));
    Bytes plain(10);
    ASSERT_TRUE(opening.open(2, as_bytes("b"), second, plain));
    EXPECT_EQ(as_text(plain), "the second");
    plain.resize(5);
    ASSERT_TRUE(opening.open(1, as_bytes("a"), first, plain));
    EXPECT_EQ(as_text(plain), "first");
    EXPECT_TRUE(opening.open(3, {}, sealing.seal(3, {}, {}), {}));
}

TEST(Aead, EveryFlippedBitIsDetectedAndTheOutputWiped) {
    Aead aead(Bytes(32, 1));
    const Bytes sealed = aead.seal(7, as_bytes("name"), as_bytes("what is protected"));
    for (std::size_t bit = 0; bit < sealed.size() * 8; ++bit) {
        Bytes changed = sealed;
        changed[bit / 8] = static_cast<Byte>(changed[bit / 8] ^ (1U << (bit % 8)));
        Bytes plain(17, 0xee);
        ASSERT_FALSE(aead.open(7, as_bytes("name"), changed, plain)) << bit;
        ASSERT_EQ(plain, Bytes(17, 0));
    }
    Bytes plain(17);
    EXPECT_TRUE(aead.open(7, as_bytes("name"), sealed, plain));
}

TEST(Aead, OtherNonceNameOrKeyDoesNotOpen) {
    Aead aead(Bytes(32, 1));
    Aead other(Bytes(32, 2));
    const Bytes sealed = aead.seal(7, as_bytes("name"), as_bytes("text"));
    Bytes plain(4);
    EXPECT_FALSE(aead.open(8, as_bytes("name"), sealed, plain));
    EXPECT_FALSE(aead.open(7, as_bytes("nama"), sealed, plain));
    EXPECT_FALSE(aead.open(7, {}, sealed, plain));
    EXPECT_FALSE(other.open(7, as_bytes("name"), sealed, plain));
    EXPECT_FALSE(aead.open(7, as_bytes("name"), ByteView(sealed).first(15), {}));
}

TEST(Aead, RefusesAKeyOfTheWrongSize) { EXPECT_ANY_THROW(Aead(Bytes(16, 0))); }

} // namespace
} // namespace holdfast
