// Bytes, views of bytes, and the reader and writer that every format of ours is coded with.
//
// All integers in our formats are little-endian. A varint is LEB128 as in Protocol Buffers: seven bits a
// byte, low bits first, at most ten bytes, and only its shortest form is accepted, so that equal values have
// equal bytes.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace holdfast {

using Byte = std::uint8_t;
using Bytes = std::vector<Byte>;
using ByteView = std::span<const Byte>;
using MutableByteView = std::span<Byte>;

inline ByteView as_bytes(std::string_view text) {
    return {reinterpret_cast<const Byte*>(text.data()), text.size()};
}
inline std::string_view as_text(ByteView bytes) {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// Lower-case hexadecimal, two digits a byte.
std::string to_hex(ByteView bytes);
// The bytes of `text`; throws Error(usage) unless it is an even number of hexadecimal digits of either case.
Bytes from_hex(std::string_view text);
// Standard base64 with padding (RFC 4648, section 4).
std::string to_base64(ByteView bytes);
// Throws Error(usage) on anything that to_base64 would not have written.
Bytes from_base64(std::string_view text);

// Compares without revealing through its running time where the first difference is.
bool equal_constant_time(ByteView a, ByteView b);

// An identifier of N bytes. Ordered and hashable, so that it can be a key.
template <std::size_t N>
struct FixedBytes {
    std::array<Byte, N> bytes{};

    static constexpr std::size_t size() { return N; }
    ByteView view() const { return bytes; }
    std::string hex() const { return to_hex(bytes); }
    auto operator<=>(const FixedBytes&) const = default;
    // The first eight bytes as a number: a hash for identifiers that are already random.
    std::uint64_t prefix() const {
        static_assert(N >= 8);
        std::uint64_t value;
        std::memcpy(&value, bytes.data(), sizeof value);
        return value;
    }
};

struct FixedBytesHash {
    template <std::size_t N>
    std::size_t operator()(const FixedBytes<N>& id) const {
        return id.prefix();
    }
};

class ByteWriter {
  public:
    void u8(std::uint8_t value) { out_.push_back(value); }
    void u16(std::uint16_t value) { fixed(value); }
    void u32(std::uint32_t value) { fixed(value); }
    void u64(std::uint64_t value) { fixed(value); }
    void varint(std::uint64_t value);
    // Zigzag, then varint: small magnitudes of either sign are short.
    void signed_varint(std::int64_t value);
    void raw(ByteView bytes) { out_.insert(out_.end(), bytes.begin(), bytes.end()); }
    // varint length, then the bytes.
    void sized(ByteView bytes);
    void sized(std::string_view text) { sized(as_bytes(text)); }
    template <std::size_t N>
    void fixed_bytes(const FixedBytes<N>& id) {
        raw(id.bytes);
    }

    std::size_t size() const { return out_.size(); }
    const Bytes& bytes() const& { return out_; }
    Bytes take() && { return std::move(out_); }
    void clear() { out_.clear(); }

  private:
    template <typename T>
    void fixed(T value) {
        for (std::size_t i = 0; i < sizeof(T); ++i) out_.push_back(static_cast<Byte>(value >> (8 * i)));
    }
    Bytes out_;
};

// Reads what ByteWriter wrote. Everything is checked: reading past the end, or a varint not in its shortest
// form, throws Error(corrupt) that names `what` (for example "index segment"). Views returned point into the
// input, which must outlive them.
class ByteReader {
  public:
    ByteReader(ByteView in, std::string_view what) : in_(in), what_(what) {}

    std::uint8_t u8() { return fixed<std::uint8_t>(); }
    std::uint16_t u16() { return fixed<std::uint16_t>(); }
    std::uint32_t u32() { return fixed<std::uint32_t>(); }
    std::uint64_t u64() { return fixed<std::uint64_t>(); }
    std::uint64_t varint();
    // A varint that must not be above `limit`; a check on counts before memory is taken for them.
    std::uint64_t varint_at_most(std::uint64_t limit);
    std::int64_t signed_varint();
    ByteView raw(std::size_t size);
    ByteView sized(std::size_t limit = SIZE_MAX);
    std::string_view sized_text(std::size_t limit = SIZE_MAX) { return as_text(sized(limit)); }
    template <std::size_t N>
    FixedBytes<N> fixed_bytes() {
        FixedBytes<N> id;
        const ByteView bytes = raw(N);
        std::memcpy(id.bytes.data(), bytes.data(), N);
        return id;
    }

    std::size_t remaining() const { return in_.size() - position_; }
    std::size_t position() const { return position_; }
    bool at_end() const { return remaining() == 0; }
    // Throws Error(corrupt) unless everything was read.
    void expect_end() const;
    [[noreturn]] void fail(std::string_view why) const;

  private:
    template <typename T>
    T fixed() {
        const ByteView bytes = raw(sizeof(T));
        T value = 0;
        for (std::size_t i = 0; i < sizeof(T); ++i)
            value = static_cast<T>(value | (static_cast<T>(bytes[i]) << (8 * i)));
        return value;
    }
    ByteView in_;
    std::string_view what_;
    std::size_t position_ = 0;
};

} // namespace holdfast
