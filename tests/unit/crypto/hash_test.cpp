// BLAKE3 against its published test vectors (github.com/BLAKE3-team/BLAKE3, test_vectors), HKDF against RFC
// 5869.
#include "crypto/hash.h"

#include <numeric>

#include <gtest/gtest.h>

namespace holdfast {
namespace {

struct Blake3Vector {
    std::size_t input_bytes;
    std::string_view keyed;
    std::string_view derived;
};

constexpr std::string_view vector_key = "whats the Elvish word for friend";
constexpr std::string_view vector_context = "BLAKE3 2019-12-27 16:29:52 test vectors context";

// clang-format off
constexpr Blake3Vector vectors[] = {
    {0,
     "92b2b75604ed3c761f9d6f62392c8a9227ad0ea3f09573e783f1498a4ed60d26b18171a2f22a4b94822c701f107153db"
     "a24918c4bae4d2945c20ece13387627d3b73cbf97b797d5e59948c7ef788f54372df45e45e4293c7dc18c1d41144a975"
     "8be58960856be1eabbe22c2653190de560ca3b2ac4aa692a9210694254c371e851bc8f",
     "2cc39783c223154fea8dfb7c1b1660f2ac2dcbd1c1de8277b0b0dd39b7e50d7d905630c8be290dfcf3e6842f13bddd57"
     "3c098c3f17361f1f206b8cad9d088aa4a3f746752c6b0ce6a83b0da81d59649257cdf8eb3e9f7d4998e41021fac119de"
     "efb896224ac99f860011f73609e6e0e4540f93b273e56547dfd3aa1a035ba6689d89a0"},
    {1,
     "6d7878dfff2f485635d39013278ae14f1454b8c0a3a2d34bc1ab38228a80c95b6568c0490609413006fbd428eb3fd14e"
     "7756d90f73a4725fad147f7bf70fd61c4e0cf7074885e92b0e3f125978b4154986d4fb202a3f331a3fb6cf349a3a70e4"
     "9990f98fe4289761c8602c4e6ab1138d31d3b62218078b2f3ba9a88e1d08d0dd4cea11",
     "b3e2e340a117a499c6cf2398a19ee0d29cca2bb7404c73063382693bf66cb06c5827b91bf889b6b97c5477f535361cae"
     "fca0b5d8c4746441c57617111933158950670f9aa8a05d791daae10ac683cbef8faf897c84e6114a59d2173c3f417023"
     "a35d6983f2c7dfa57e7fc559ad751dbfb9ffab39c2ef8c4aafebc9ae973a64f0c76551"},
    {1023,
     "c951ecdf03288d0fcc96ee3413563d8a6d3589547f2c2fb36d9786470f1b9d6e890316d2e6d8b8c25b0a5b2180f94fb1"
     "a158ef508c3cde45e2966bd796a696d3e13efd86259d756387d9becf5c8bf1ce2192b87025152907b6d8cc33d17826d8"
     "b7b9bc97e38c3c85108ef09f013e01c229c20a83d9e8efac5b37470da28575fd755a10",
     "74a16c1c3d44368a86e1ca6df64be6a2f64cce8f09220787450722d85725dea59c413264404661e9e4d955409dfe4ad3"
     "aa487871bcd454ed12abfe2c2b1eb7757588cf6cb18d2eccad49e018c0d0fec323bec82bf1644c6325717d13ea712e68"
     "40d3e6e730d35553f59eff5377a9c350bcc1556694b924b858f329c44ee64b884ef00d"},
    {1024,
     "75c46f6f3d9eb4f55ecaaee480db732e6c2105546f1e675003687c31719c7ba4a78bc838c72852d4f49c864acb7adafe"
     "2478e824afe51c8919d06168414c265f298a8094b1ad813a9b8614acabac321f24ce61c5a5346eb519520d38ecc43e89"
     "b5000236df0597243e4d2493fd626730e2ba17ac4d8824d09d1a4a8f57b8227778e2de",
     "7356cd7720d5b66b6d0697eb3177d9f8d73a4a5c5e968896eb6a6896843027066c23b601d3ddfb391e90d5c8eccdef4a"
     "e2a264bce9e612ba15e2bc9d654af1481b2e75dbabe615974f1070bba84d56853265a34330b4766f8e75edd1f4a16504"
     "76c10802f22b64bd3919d246ba20a17558bc51c199efdec67e80a227251808d8ce5bad"},
    {1025,
     "357dc55de0c7e382c900fd6e320acc04146be01db6a8ce7210b7189bd664ea69362396b77fdc0d2634a5529708437220"
     "66c3c15902ae5097e00ff53f1e116f1cd5352720113a837ab2452cafbde4d54085d9cf5d21ca613071551b25d52e69d6"
     "c81123872b6f19cd3bc1333edf0c52b94de23ba772cf82636cff4542540a7738d5b930",
     "effaa245f065fbf82ac186839a249707c3bddf6d3fdda22d1b95a3c970379bcb5d31013a167509e9066273ab6e2123bc"
     "835b408b067d88f96addb550d96b6852dad38e320b9d940f86db74d398c770f462118b35d2724efa13da97194491d96d"
     "d37c3c09cbef665953f2ee85ec83d88b88d11547a6f911c8217cca46defa2751e7f3ad"},
    {2049,
     "9f29700902f7c86e514ddc4df1e3049f258b2472b6dd5267f61bf13983b78dd5f9a88abfefdfa1e00b418971f2b39c64"
     "ca621e8eb37fceac57fd0c8fc8e117d43b81447be22d5d8186f8f5919ba6bcc6846bd7d50726c06d245672c2ad4f6170"
     "2c646499ee1173daa061ffe15bf45a631e2946d616a4c345822f1151284712f76b2b0e",
     "2ea477c5515cc3dd606512ee72bb3e0e758cfae7232826f35fb98ca1bcbdf27316d8e9e79081a80b046b60f6a263616f"
     "33ca464bd78d79fa18200d06c7fc9bffd808cc4755277a7d5e09da0f29ed150f6537ea9bed946227ff184cc66a72a5f8"
     "c1e4bd8b04e81cf40fe6dc4427ad5678311a61f4ffc39d195589bdbc670f63ae70f4b6"},
    {8193,
     "954a2a75420c8d6547e3ba5b98d963e6fa6491addc8c023189cc519821b4a1f5f03228648fd983aef045c2fa8290934b"
     "0866b615f585149587dda2299039965328835a2b18f1d63b7e300fc76ff260b571839fe44876a4eae66cbac8c6769441"
     "1ed7e09df51068a22c6e67d6d3dd2cca8ff12e3275384006c80f4db68023f24eebba57",
     "af1e0346e389b17c23200270a64aa4e1ead98c61695d917de7d5b00491c9b0f12f20a01d6d622edf3de026a4db4e4526"
     "225debb93c1237934d71c7340bb5916158cbdafe9ac3225476b6ab57a12357db3abbad7a26c6e66290e44034fb08a20a"
     "8d0ec264f309994d2810c49cfba6989d7abb095897459f5425adb48aba07c5fb3c83c0"},
    {31744,
     "efa53b389ab67c593dba624d898d0f7353ab99e4ac9d42302ee64cbf9939a4193a7258db2d9cd32a7a3ecfce46144114"
     "b15c2fcb68a618a976bd74515d47be08b628be420b5e830fade7c080e351a076fbc38641ad80c736c8a18fe3c66ce12f"
     "95c61c2462a9770d60d0f77115bbcd3782b593016a4e728d4c06cee4505cb0c08a42ec",
     "39772aef80e0ebe60596361e45b061e8f417429d529171b6764468c22928e28e9759adeb797a3fbf771b1bcea30150a0"
     "20e317982bf0d6e7d14dd9f064bc11025c25f31e81bd78a921db0174f03dd481d30e93fd8e90f8b2fee209f849f2d2a5"
     "2f31719a490fb0ba7aea1e09814ee912eba111a9fde9d5c274185f7bae8ba85d300a2b"},
    {102400,
     "1c35d1a5811083fd7119f5d5d1ba027b4d01c0c6c49fb6ff2cf75393ea5db4a7f9dbdd3e1d81dcbca3ba241bb18760f2"
     "07710b751846faaeb9dff8262710999a59b2aa1aca298a032d94eacfadf1aa192418eb54808db23b56e34213266aa084"
     "99a16b354f018fc4967d05f8b9d2ad87a7278337be9693fc638a3bfdbe314574ee6fc4",
     "4652cff7a3f385a6103b5c260fc1593e13c778dbe608efb092fe7ee69df6e9c6d83a3e041bc3a48df2879f4a0a3ed40e"
     "7c961c73eff740f3117a0504c2dff4786d44fb17f1549eb0ba585e40ec29bf7732f0b7e286ff8acddc4cb1e23b87ff5d"
     "824a986458dcc6a04ac83969b80637562953df51ed1a7e90a7926924d2763778be8560"},
};
// clang-format on

Bytes vector_input(std::size_t size) {
    Bytes input(size);
    for (std::size_t i = 0; i < size; ++i) input[i] = static_cast<Byte>(i % 251);
    return input;
}

Bytes counting(Byte first, Byte last) {
    Bytes bytes(static_cast<std::size_t>(last - first + 1));
    std::iota(bytes.begin(), bytes.end(), first);
    return bytes;
}

class Blake3 : public testing::TestWithParam<Blake3Vector> {};

TEST_P(Blake3, KeyedModeMatchesThePublishedVector) {
    Bytes out(GetParam().keyed.size() / 2);
    Hasher::keyed(as_bytes(vector_key)).update(vector_input(GetParam().input_bytes)).finish(out);
    EXPECT_EQ(to_hex(out), GetParam().keyed);
}

TEST_P(Blake3, DeriveModeMatchesThePublishedVector) {
    Bytes out(GetParam().derived.size() / 2);
    Hasher::derive(vector_context).update(vector_input(GetParam().input_bytes)).finish(out);
    EXPECT_EQ(to_hex(out), GetParam().derived);
}

TEST_P(Blake3, PiecesOfAnySizeGiveTheSameHash) {
    const Bytes input = vector_input(GetParam().input_bytes);
    for (const std::size_t piece : {7U, 1024U, 4099U}) {
        Hasher hasher = Hasher::keyed(as_bytes(vector_key));
        for (std::size_t at = 0; at < input.size(); at += piece) {
            hasher.update(ByteView(input).subspan(at, std::min(piece, input.size() - at)));
        }
        EXPECT_EQ(hasher.finish<32>().hex(), GetParam().keyed.substr(0, 64)) << piece;
    }
}

INSTANTIATE_TEST_SUITE_P(Published, Blake3, testing::ValuesIn(vectors),
                         [](const auto& entry) { return std::to_string(entry.param.input_bytes); });

TEST(Hasher, ShorterOutputIsAPrefixAndFinishCanBeRepeated) {
    Hasher hasher = Hasher::derive("context");
    hasher.update(as_bytes("text"));
    const auto whole = hasher.finish<32>();
    EXPECT_EQ(hasher.finish<16>().hex(), whole.hex().substr(0, 32));
    EXPECT_EQ((derive_hash<24>("context", as_bytes("text")).hex()), whole.hex().substr(0, 48));
}

TEST(Hasher, ResetKeepsTheKey) {
    Hasher hasher = Hasher::keyed(as_bytes(vector_key));
    hasher.update(as_bytes("something else"));
    hasher.reset();
    EXPECT_EQ(hasher.finish<32>().hex(), vectors[0].keyed.substr(0, 64));
}

TEST(Hasher, RefusesAKeyOfTheWrongSize) { EXPECT_ANY_THROW(Hasher::keyed(as_bytes("short"))); }

// RFC 5869, appendix A; the vectors are longer than 32 bytes, and HKDF's output is a prefix of a longer one.
TEST(Hkdf, MatchesTheFirstVectorOfTheRfc) {
    const Secret key = hkdf(counting(0x00, 0x0c), Bytes(22, 0x0b), counting(0xf0, 0xf9));
    EXPECT_EQ(to_hex(key.view()), "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf");
}

TEST(Hkdf, MatchesTheSecondVectorOfTheRfc) {
    const Secret key = hkdf(counting(0x60, 0xaf), counting(0x00, 0x4f), counting(0xb0, 0xff));
    EXPECT_EQ(to_hex(key.view()), "b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c");
}

TEST(Hkdf, MatchesTheThirdVectorOfTheRfcWithoutSaltAndInfo) {
    const Secret key = hkdf({}, Bytes(22, 0x0b), {});
    EXPECT_EQ(to_hex(key.view()), "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d");
}

TEST(HkdfExpand, MatchesTheExpandStepOfTheVectors) {
    const Bytes first = from_hex("077709362c2e32df0ddc3f0dc47bba6390b6c73bb50f9c3122ec844ad7c2b3e5");
    EXPECT_EQ(to_hex(hkdf_expand(first, counting(0xf0, 0xf9)).view()),
              "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf");
    const Bytes third = from_hex("19ef24a32c717b167f33a91d6f648bdf96596776afdb6377ac434c1c293ccb04");
    EXPECT_EQ(to_hex(hkdf_expand(third, {}).view()),
              "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d");
}

} // namespace
} // namespace holdfast
