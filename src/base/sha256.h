// SHA-256, where somebody else's format or an auditor wants it.
#pragma once

#include "base/bytes.h"

#include <span>
#include <string>

namespace holdfast {

// Of all parts as one, in lower-case hexadecimal. Throws Error(internal) when OpenSSL cannot.
std::string sha256_hex(std::span<const ByteView> parts);
inline std::string sha256_hex(ByteView bytes) { return sha256_hex(std::span(&bytes, 1)); }

} // namespace holdfast
