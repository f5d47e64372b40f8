// CRC-32C: the checksum of PostgreSQL's log records, control file and backup manifests, and of other formats.
//
// Castagnoli's polynomial 0x1EDC6F41, bits reflected, starts from and ends with all bits inverted (RFC 3720,
// appendix B.4). The CRC of nothing is 0. It finds accidents, not adversaries.
#pragma once

#include "base/bytes.h"

#include <cstdint>

namespace holdfast {

// Continues the finished CRC `crc` of some bytes with `bytes`: crc32c(crc32c(0, a), b) is the CRC of a and
// then b. Uses the processor's instructions when it has them: three lanes at once, above 10 GB/s.
std::uint32_t crc32c(std::uint32_t crc, ByteView bytes);

// The same without special instructions, for processors that lack them.
std::uint32_t crc32c_portable(std::uint32_t crc, ByteView bytes);

// The CRC of a and then b, from the CRCs of both and the length of b in bytes. Takes well under a
// microsecond.
std::uint32_t crc32c_combine(std::uint32_t a, std::uint32_t b, std::uint64_t length_of_b);

// The CRC of so many bytes of zero, as quickly.
std::uint32_t crc32c_of_zeros(std::uint64_t length);

} // namespace holdfast
