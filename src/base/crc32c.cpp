#include "base/crc32c.h"

#include "base/little_endian.h"

#include <algorithm>
#include <array>

#if defined(__x86_64__)
#include <nmmintrin.h>
#include <wmmintrin.h>
#endif

namespace holdfast {

namespace {

// Polynomials over GF(2) modulo Castagnoli's, as numbers whose highest bit is the coefficient of x^0.
constexpr std::uint32_t polynomial = 0x82f63b78;
constexpr std::uint32_t one = 0x80000000;

constexpr std::uint32_t times_x(std::uint32_t a) { return a & 1 ? a >> 1 ^ polynomial : a >> 1; }

constexpr std::uint32_t multiply(std::uint32_t a, std::uint32_t b) {
    std::uint32_t product = 0;
    for (std::uint32_t bit = one; a != 0; bit >>= 1) {
        if (a & bit) {
            product ^= b;
            a ^= bit;
        }
        b = times_x(b);
    }
    return product;
}

// x^(2^i) for every i that a length of 64 bits in bytes, thus 67 in bits, can have.
constexpr auto squares = [] {
    std::array<std::uint32_t, 67> table{};
    table[0] = times_x(one);
    for (std::size_t i = 1; i < table.size(); ++i) table[i] = multiply(table[i - 1], table[i - 1]);
    return table;
}();

// What a CRC is multiplied with when `bytes` bytes follow.
constexpr std::uint32_t shift_by(std::uint64_t bytes) {
    std::uint32_t product = one;
    for (std::size_t i = 3; bytes != 0; ++i, bytes >>= 1)
        if (bytes & 1) product = multiply(squares[i], product);
    return product;
}

// Tables for eight bytes at a time: slices[k][v] is the CRC of v followed by k zero bytes.
constexpr auto slices = [] {
    std::array<std::array<std::uint32_t, 256>, 8> table{};
    for (std::uint32_t value = 0; value < 256; ++value) {
        std::uint32_t crc = value;
        for (int bit = 0; bit < 8; ++bit) crc = times_x(crc);
        table[0][value] = crc;
    }
    for (std::size_t k = 1; k < table.size(); ++k)
        for (std::size_t value = 0; value < 256; ++value) {
            const std::uint32_t before = table[k - 1][value];
            table[k][value] = before >> 8 ^ table[0][before & 0xff];
        }
    return table;
}();

#if defined(__x86_64__)

constexpr std::size_t word_bytes = 8;
// Three lanes of this many words are the 8 KiB of a page but for one word.
constexpr std::size_t lane_words_max = 341;
// Below this, joining the lanes costs more than they win.
constexpr std::size_t lanes_bytes_min = 120;

// shifts[k] moves a CRC past k words once a product of two reflected numbers has gone through the CRC
// instruction, which by itself multiplies with x^33: therefore x^(64k - 33).
constexpr auto shifts = [] {
    std::array<std::uint32_t, 2 * lane_words_max + 1> table{};
    std::uint32_t power = one;
    for (int i = 0; i < 64 - 33; ++i) power = times_x(power);
    for (std::size_t words = 1; words < table.size(); ++words) {
        table[words] = power;
        for (int i = 0; i < 64; ++i) power = times_x(power);
    }
    return table;
}();

__attribute__((target("sse4.2,pclmul"))) std::uint64_t times(std::uint64_t a, std::uint32_t b) {
    const __m128i product = _mm_clmulepi64_si128(_mm_cvtsi64_si128(static_cast<long long>(a)),
                                                 _mm_cvtsi32_si128(static_cast<int>(b)), 0);
    return static_cast<std::uint64_t>(_mm_cvtsi128_si64(product));
}

__attribute__((target("sse4.2,pclmul"))) std::uint32_t crc32c_hardware(std::uint32_t crc, ByteView bytes) {
    const Byte* at = bytes.data();
    std::size_t left = bytes.size();
    std::uint64_t a = ~crc;
    while (left >= lanes_bytes_min) {
        const std::size_t words = std::min(left / (3 * word_bytes), lane_words_max);
        const std::size_t lane_bytes = words * word_bytes;
        const Byte* const end = at + lane_bytes;
        std::uint64_t b = 0;
        std::uint64_t c = 0;
        for (; at != end; at += word_bytes) {
            a = _mm_crc32_u64(a, load_little<std::uint64_t>(at));
            b = _mm_crc32_u64(b, load_little<std::uint64_t>(at + lane_bytes));
            c = _mm_crc32_u64(c, load_little<std::uint64_t>(at + 2 * lane_bytes));
        }
        a = c ^ _mm_crc32_u64(0, times(a, shifts[2 * words]) ^ times(b, shifts[words]));
        at += 2 * lane_bytes;
        left -= 3 * lane_bytes;
    }
    for (; left >= word_bytes; left -= word_bytes, at += word_bytes)
        a = _mm_crc32_u64(a, load_little<std::uint64_t>(at));
    auto rest = static_cast<std::uint32_t>(a);
    if (left & 4) {
        rest = _mm_crc32_u32(rest, load_little<std::uint32_t>(at));
        at += 4;
    }
    for (left &= 3; left != 0; --left) rest = _mm_crc32_u8(rest, *at++);
    return ~rest;
}

bool have_hardware() {
    static const bool have = __builtin_cpu_supports("sse4.2") && __builtin_cpu_supports("pclmul");
    return have;
}

#endif

} // namespace

std::uint32_t crc32c(std::uint32_t crc, ByteView bytes) {
#if defined(__x86_64__)
    if (have_hardware()) return crc32c_hardware(crc, bytes);
#endif
    return crc32c_portable(crc, bytes);
}

std::uint32_t crc32c_portable(std::uint32_t crc, ByteView bytes) {
    crc = ~crc;
    for (; bytes.size() >= 8; bytes = bytes.subspan(8)) {
        const std::uint64_t word = load_little<std::uint64_t>(bytes.data()) ^ crc;
        crc = 0;
        for (std::size_t i = 0; i < 8; ++i) crc ^= slices[7 - i][word >> (8 * i) & 0xff];
    }
    for (const Byte byte : bytes) crc = crc >> 8 ^ slices[0][(crc ^ byte) & 0xff];
    return ~crc;
}

std::uint32_t crc32c_combine(std::uint32_t a, std::uint32_t b, std::uint64_t length_of_b) {
    return multiply(shift_by(length_of_b), a) ^ b;
}

std::uint32_t crc32c_of_zeros(std::uint64_t length) {
    constexpr std::uint32_t inverted = 0xffffffff;
    return multiply(shift_by(length), inverted) ^ inverted;
}

} // namespace holdfast
