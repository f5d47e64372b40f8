#include "base/bytes.h"

#include "base/error.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>

namespace holdfast {

namespace {

constexpr std::string_view hex_digits = "0123456789abcdef";

int hex_value(char digit) {
    if (digit >= '0' && digit <= '9') return digit - '0';
    if (digit >= 'a' && digit <= 'f') return digit - 'a' + 10;
    if (digit >= 'A' && digit <= 'F') return digit - 'A' + 10;
    return -1;
}

} // namespace

std::string to_hex(ByteView bytes) {
    std::string text;
    text.reserve(bytes.size() * 2);
    for (const Byte byte : bytes) {
        text.push_back(hex_digits[byte >> 4]);
        text.push_back(hex_digits[byte & 15]);
    }
    return text;
}

Bytes from_hex(std::string_view text) {
    if (text.size() % 2 != 0) throw Error(ErrorCode::usage, "a hexadecimal text has an odd number of digits");
    Bytes bytes;
    bytes.reserve(text.size() / 2);
    for (std::size_t i = 0; i < text.size(); i += 2) {
        const int high = hex_value(text[i]);
        const int low = hex_value(text[i + 1]);
        if (high < 0 || low < 0) throw Error(ErrorCode::usage, "a text is not hexadecimal");
        bytes.push_back(static_cast<Byte>(high * 16 + low));
    }
    return bytes;
}

std::string to_base64(ByteView bytes) {
    std::string text((bytes.size() + 2) / 3 * 4 + 1, '\0');
    const int length = EVP_EncodeBlock(reinterpret_cast<unsigned char*>(text.data()), bytes.data(),
                                       static_cast<int>(bytes.size()));
    text.resize(static_cast<std::size_t>(length));
    return text;
}

Bytes from_base64(std::string_view text) {
    Bytes bytes(text.size() / 4 * 3);
    const int length =
        text.size() % 4 == 0
            ? EVP_DecodeBlock(bytes.data(), reinterpret_cast<const unsigned char*>(text.data()),
                              static_cast<int>(text.size()))
            : -1;
    if (length < 0) throw Error(ErrorCode::usage, "a text is not base64");
    std::size_t padding = 0;
    while (padding < 2 && padding < text.size() && text[text.size() - 1 - padding] == '=') ++padding;
    bytes.resize(static_cast<std::size_t>(length) - padding);
    if (to_base64(bytes) != text) throw Error(ErrorCode::usage, "a text is not base64");
    return bytes;
}

bool equal_constant_time(ByteView a, ByteView b) {
    return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

void ByteWriter::varint(std::uint64_t value) {
    while (value >= 0x80) {
        out_.push_back(static_cast<Byte>(value | 0x80));
        value >>= 7;
    }
    out_.push_back(static_cast<Byte>(value));
}

void ByteWriter::signed_varint(std::int64_t value) {
    const auto bits = static_cast<std::uint64_t>(value);
    varint((bits << 1) ^ (value < 0 ? ~std::uint64_t{0} : 0));
}

void ByteWriter::sized(ByteView bytes) {
    varint(bytes.size());
    raw(bytes);
}

std::uint64_t ByteReader::varint() {
    std::uint64_t value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        const std::uint8_t byte = u8();
        if (shift == 63 && byte > 1) fail("a number is too large");
        value |= static_cast<std::uint64_t>(byte & 0x7f) << shift;
        if ((byte & 0x80) == 0) {
            if (byte == 0 && shift != 0) fail("a number is not in its shortest form");
            return value;
        }
    }
    fail("a number is too long");
}

std::uint64_t ByteReader::varint_at_most(std::uint64_t limit) {
    const std::uint64_t value = varint();
    if (value > limit) fail("a number is above its limit");
    return value;
}

std::int64_t ByteReader::signed_varint() {
    const std::uint64_t bits = varint();
    return static_cast<std::int64_t>((bits >> 1) ^ ((bits & 1) != 0 ? ~std::uint64_t{0} : 0));
}

ByteView ByteReader::raw(std::size_t size) {
    if (size > remaining()) fail("it ends too early");
    const ByteView bytes = in_.subspan(position_, size);
    position_ += size;
    return bytes;
}

ByteView ByteReader::sized(std::size_t limit) { return raw(static_cast<std::size_t>(varint_at_most(limit))); }

void ByteReader::expect_end() const {
    if (!at_end()) fail("there are bytes after its end");
}

void ByteReader::fail(std::string_view why) const {
    throw Error(ErrorCode::corrupt, std::string(what_) + " is malformed at byte " +
                                        std::to_string(position_) + ": " + std::string(why));
}

} // namespace holdfast
