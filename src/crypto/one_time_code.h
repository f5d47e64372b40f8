// Codes of authenticator programs: TOTP (RFC 6238) with HMAC-SHA-1, six digits, a new one every 30 seconds.
#pragma once

#include "base/bytes.h"
#include "base/clock.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace holdfast {

// The number of the stretch of 30 seconds that `time` is in.
std::uint64_t one_time_step(Timestamp time);
// The last `digits` (at most 8) decimal digits of the code of `step`.
std::string one_time_code(ByteView seed, std::uint64_t step, int digits = 6);
// The step whose code `code` is: that of now, the one before or the one behind, for clocks that are a little
// off. Takes as long whichever it is.
std::optional<std::uint64_t> find_one_time_step(ByteView seed, std::string_view code, Timestamp now);

// Base32 without padding (RFC 4648, section 6), as authenticator programs want a seed.
std::string to_base32(ByteView bytes);
// What an authenticator program reads from a QR code: "otpauth://totp/Holdfast:NAME?secret=…". `name` may
// hold letters, digits, '.', '_' and '-' alone.
std::string authenticator_address(ByteView seed, std::string_view name);

} // namespace holdfast
