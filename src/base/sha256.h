// SHA-256, where somebody else's format or an auditor wants it.
#pragma once

#include "base/bytes.h"

#include <span>
#include <string>
#include <string_view>

namespace holdfast {

// Of all parts as one, in lower-case hexadecimal. Throws Error(internal) when OpenSSL cannot.
std::string sha256_hex(std::span<const ByteView> parts);
inline std::string sha256_hex(ByteView bytes) { return sha256_hex(std::span(&bytes, 1)); }

// HMAC-SHA-256 (RFC 2104) of `text` under `key`. Throws Error(internal) when OpenSSL cannot.
FixedBytes<32> hmac_sha256(ByteView key, std::string_view text);

} // namespace holdfast
