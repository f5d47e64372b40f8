#include "base/bytes.h"
#include "base/random.h"
#include "support/error_matchers.h"

#include <limits>
#include <set>
#include <unordered_set>

#include <gtest/gtest.h>

namespace holdfast {
namespace {

using test::code_of;
using test::error_of;

Bytes varint_bytes(std::uint64_t value) {
    ByteWriter writer;
    writer.varint(value);
    return std::move(writer).take();
}

Bytes signed_varint_bytes(std::int64_t value) {
    ByteWriter writer;
    writer.signed_varint(value);
    return std::move(writer).take();
}

std::uint64_t read_varint(const Bytes& bytes) {
    ByteReader reader(bytes, "a test");
    const std::uint64_t value = reader.varint();
    reader.expect_end();
    return value;
}

TEST(Varint, HasTheBytesOfProtocolBuffers) {
    EXPECT_EQ(varint_bytes(0), (Bytes{0x00}));
    EXPECT_EQ(varint_bytes(1), (Bytes{0x01}));
    EXPECT_EQ(varint_bytes(127), (Bytes{0x7f}));
    EXPECT_EQ(varint_bytes(128), (Bytes{0x80, 0x01}));
    EXPECT_EQ(varint_bytes(300), (Bytes{0xac, 0x02}));
    EXPECT_EQ(varint_bytes(UINT64_MAX), (Bytes{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01}));
}

TEST(Varint, ReadsBackEveryPowerOfTwoAndItsNeighbours) {
    for (unsigned bit = 0; bit < 64; ++bit) {
        const std::uint64_t power = std::uint64_t{1} << bit;
        for (const std::uint64_t value : {power - 1, power, power + 1}) {
            EXPECT_EQ(read_varint(varint_bytes(value)), value);
        }
    }
}

TEST(Varint, RandomValuesReadBackAndEqualLengthMeansEqualMagnitude) {
    SeededRandom random(1);
    for (int i = 0; i < 20'000; ++i) {
        const std::uint64_t value = random.u64() >> random.below(64);
        const Bytes bytes = varint_bytes(value);
        EXPECT_EQ(read_varint(bytes), value);
        const bool fits_shorter = bytes.size() > 1 && value < std::uint64_t{1} << (7 * (bytes.size() - 1));
        EXPECT_FALSE(fits_shorter) << value << " took " << bytes.size() << " bytes";
    }
}

TEST(Varint, RefusesLongerFormsThanNeeded) {
    for (const Bytes& bytes : {Bytes{0x80, 0x00}, Bytes{0xff, 0x00}, Bytes{0x81, 0x80, 0x00},
                               Bytes{0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x00}}) {
        EXPECT_EQ(code_of([&] { read_varint(bytes); }), "corrupt") << to_hex(bytes);
    }
}

TEST(Varint, RefusesWhatDoesNotFitIn64Bits) {
    Bytes two_to_the_64(9, 0x80);
    two_to_the_64.push_back(0x02);
    EXPECT_EQ(code_of([&] { read_varint(two_to_the_64); }), "corrupt");
    EXPECT_EQ(code_of([&] { read_varint(Bytes(11, 0xff)); }), "corrupt");
    EXPECT_EQ(code_of([&] { read_varint(Bytes(10, 0x81)); }), "corrupt");
}

TEST(Varint, RefusesAnEndInTheMiddle) {
    for (std::size_t length = 0; length < 10; ++length) {
        EXPECT_EQ(code_of([&] { read_varint(Bytes(length, 0x80)); }), "corrupt") << length;
    }
}

TEST(Varint, LimitIsInclusive) {
    const Bytes bytes = varint_bytes(1000);
    EXPECT_EQ(ByteReader(bytes, "a test").varint_at_most(1000), 1000U);
    EXPECT_EQ(code_of([&] { ByteReader(bytes, "a test").varint_at_most(999); }), "corrupt");
}

TEST(SignedVarint, SmallMagnitudesAreShortAndLimitsReadBack) {
    EXPECT_EQ(signed_varint_bytes(0), (Bytes{0}));
    EXPECT_EQ(signed_varint_bytes(-1), (Bytes{1}));
    EXPECT_EQ(signed_varint_bytes(1), (Bytes{2}));
    EXPECT_EQ(signed_varint_bytes(-64), (Bytes{127}));
    SeededRandom random(2);
    std::vector<std::int64_t> values{std::numeric_limits<std::int64_t>::min(),
                                     std::numeric_limits<std::int64_t>::max()};
    for (int i = 0; i < 5000; ++i)
        values.push_back(static_cast<std::int64_t>(random.u64()) >> random.below(64));
    for (const std::int64_t value : values) {
        const Bytes bytes = signed_varint_bytes(value);
        EXPECT_EQ(ByteReader(bytes, "a test").signed_varint(), value);
    }
}

TEST(ByteReader, ReadsWhatByteWriterWrote) {
    FixedBytes<16> id;
    id.bytes.fill(0xab);
    ByteWriter writer;
    writer.u8(0x12);
    writer.u16(0x3456);
    writer.u32(0x789abcde);
    writer.u64(0x0123456789abcdef);
    writer.sized("name");
    writer.sized(std::string_view());
    writer.fixed_bytes(id);
    const Bytes bytes = std::move(writer).take();
    EXPECT_EQ(to_hex(ByteView(bytes).first(15)), "125634debc9a78efcdab8967452301");

    ByteReader reader(bytes, "a test");
    EXPECT_EQ(reader.u8(), 0x12);
    EXPECT_EQ(reader.u16(), 0x3456);
    EXPECT_EQ(reader.u32(), 0x789abcdeU);
    EXPECT_EQ(reader.u64(), 0x0123456789abcdefU);
    EXPECT_EQ(reader.sized_text(), "name");
    EXPECT_EQ(reader.sized_text(), "");
    EXPECT_EQ(reader.fixed_bytes<16>(), id);
    EXPECT_TRUE(reader.at_end());
    reader.expect_end();
}

TEST(ByteReader, NamesWhatIsMalformedAndWhere) {
    const Bytes bytes{1, 2, 3};
    ByteReader reader(bytes, "index segment");
    reader.u16();
    const auto error = error_of([&] { reader.u16(); });
    ASSERT_TRUE(error);
    EXPECT_EQ(error->message(), "index segment is malformed at byte 2: it ends too early");
    EXPECT_EQ(code_of([&] { reader.expect_end(); }), "corrupt");
}

TEST(ByteReader, ALengthBeyondTheInputTakesNoMemory) {
    ByteWriter writer;
    writer.varint(UINT64_MAX);
    writer.u8(0);
    EXPECT_EQ(code_of([&] { ByteReader(writer.bytes(), "a test").sized(); }), "corrupt");
    EXPECT_EQ(code_of([&] { ByteReader(writer.bytes(), "a test").sized(100); }), "corrupt");
    EXPECT_EQ(code_of([&] { ByteReader(writer.bytes(), "a test").raw(SIZE_MAX); }), "corrupt");
}

TEST(ByteReader, RubbishEndsInAnErrorOrAValue) {
    SeededRandom random(3);
    int errors = 0;
    for (int i = 0; i < 5000; ++i) {
        Bytes bytes(random.below(40));
        random.fill(bytes);
        ByteReader reader(bytes, "rubbish");
        try {
            while (!reader.at_end()) {
                switch (random.below(5)) {
                case 0:
                    reader.varint();
                    break;
                case 1:
                    EXPECT_LE(reader.sized().size(), bytes.size());
                    break;
                case 2:
                    reader.u64();
                    break;
                case 3:
                    reader.signed_varint();
                    break;
                default:
                    EXPECT_LE(reader.varint_at_most(100), 100U);
                }
            }
        } catch (const Error& error) {
            EXPECT_EQ(error.code(), ErrorCode::corrupt);
            ++errors;
        }
        EXPECT_LE(reader.position(), bytes.size());
    }
    EXPECT_GT(errors, 1000);
}

TEST(Hex, RoundTripsAndTakesEitherCase) {
    const Bytes bytes{0x00, 0x9f, 0xAB, 0xff};
    EXPECT_EQ(to_hex(bytes), "009fabff");
    EXPECT_EQ(from_hex("009fabff"), bytes);
    EXPECT_EQ(from_hex("009FaBfF"), bytes);
    EXPECT_EQ(from_hex(""), Bytes{});
}

TEST(Hex, RefusesOddLengthsAndOtherCharacters) {
    for (const char* text : {"0", "0g", "g0", " 00", "0x00", "00\n", "/0", ":0", "@0", "`0"}) {
        EXPECT_EQ(code_of([&] { from_hex(text); }), "usage") << text;
    }
    EXPECT_EQ(code_of([&] { from_hex(std::string_view("0\0", 2)); }), "usage");
}

TEST(Base64, HasTheVectorsOfRfc4648) {
    const std::pair<const char*, const char*> vectors[] = {
        {"", ""},
        {"f", "Zg=="},
        {"fo", "Zm8="},
        {"foo", "Zm9v"},
        {"foob", "Zm9vYg=="},
        {"fooba", "Zm9vYmE="},
        {"foobar", "Zm9vYmFy"},
    };
    for (const auto& [text, coded] : vectors) {
        EXPECT_EQ(to_base64(as_bytes(text)), coded);
        EXPECT_EQ(as_text(from_base64(coded)), text);
    }
}

TEST(Base64, RandomBytesReadBack) {
    SeededRandom random(4);
    for (std::size_t size = 0; size < 200; ++size) {
        Bytes bytes(size);
        random.fill(bytes);
        EXPECT_EQ(from_base64(to_base64(bytes)), bytes);
    }
}

TEST(Base64, RefusesWhatItWouldNotHaveWritten) {
    for (const char* text : {"Zg=", "Zg", "Z", "Zh==", "Zm9=", "====", "Z===", "Zg==\n",
                             " Zg==", "Zg== ", "    ", "Zg==Zg==", "Zm9v!m9v", "Zm-_", "Zm9vYg==\n\n\n\n"}) {
        EXPECT_EQ(code_of([&] { from_base64(text); }), "usage") << text;
    }
}

TEST(EqualConstantTime, ComparesLengthAndContent) {
    EXPECT_TRUE(equal_constant_time({}, {}));
    EXPECT_TRUE(equal_constant_time(as_bytes("same"), as_bytes("same")));
    EXPECT_FALSE(equal_constant_time(as_bytes("same"), as_bytes("sama")));
    EXPECT_FALSE(equal_constant_time(as_bytes("same"), as_bytes("sam")));
    EXPECT_FALSE(equal_constant_time(as_bytes("same"), {}));
}

TEST(FixedBytes, CanBeAKey) {
    FixedBytes<16> low;
    FixedBytes<16> high;
    high.bytes[0] = 1;
    low.bytes[15] = 0xff;
    EXPECT_LT(low, high);
    EXPECT_EQ(low.hex(), "000000000000000000000000000000ff");
    const std::set<FixedBytes<16>> ordered{high, low, low};
    EXPECT_EQ(*ordered.begin(), low);
    const std::unordered_set<FixedBytes<16>, FixedBytesHash> hashed{high, low, low};
    EXPECT_EQ(hashed.size(), 2U);
}

} // namespace
} // namespace holdfast
