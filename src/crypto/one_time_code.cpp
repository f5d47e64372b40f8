#include "crypto/one_time_code.h"

#include "base/error.h"

#include <array>

#include <fmt/format.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

namespace holdfast {

std::uint64_t one_time_step(Timestamp time) {
    const auto seconds = std::chrono::floor<std::chrono::seconds>(time).time_since_epoch().count();
    return seconds < 0 ? 0 : static_cast<std::uint64_t>(seconds) / 30;
}

std::string one_time_code(ByteView seed, std::uint64_t step, int digits) {
    std::array<Byte, 8> message{};
    for (std::size_t i = 0; i < message.size(); ++i)
        message[i] = static_cast<Byte>(step >> (8 * (message.size() - 1 - i)));
    std::array<Byte, EVP_MAX_MD_SIZE> digest{};
    unsigned size = 0;
    if (HMAC(EVP_sha1(), seed.data(), static_cast<int>(seed.size()), message.data(), message.size(),
             digest.data(), &size) == nullptr ||
        size != 20)
        throw Error(ErrorCode::internal, "OpenSSL could not compute HMAC-SHA-1");
    // Dynamic truncation (RFC 4226, section 5.3).
    const std::size_t offset = digest[19] & 15u;
    std::uint32_t number = 0;
    for (std::size_t i = 0; i < 4; ++i) number = (number << 8) | digest[offset + i];
    number &= 0x7FFF'FFFFu;
    std::uint32_t modulus = 1;
    for (int i = 0; i < digits; ++i) modulus *= 10;
    return fmt::format("{:0{}}", number % modulus, digits);
}

std::optional<std::uint64_t> find_one_time_step(ByteView seed, std::string_view code, Timestamp now) {
    const std::uint64_t middle = one_time_step(now);
    std::optional<std::uint64_t> found;
    for (const std::uint64_t step : {middle == 0 ? 0 : middle - 1, middle, middle + 1})
        if (equal_constant_time(as_bytes(one_time_code(seed, step)), as_bytes(code))) found = step;
    return found;
}

std::string to_base32(ByteView bytes) {
    constexpr std::string_view alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    std::string text;
    std::uint32_t bits = 0;
    int waiting = 0;
    for (const Byte byte : bytes) {
        bits = ((bits << 8) | byte) & 0xFFFFu;
        for (waiting += 8; waiting >= 5; waiting -= 5) text += alphabet[(bits >> (waiting - 5)) & 31u];
    }
    if (waiting > 0) text += alphabet[(bits << (5 - waiting)) & 31u];
    return text;
}

std::string authenticator_address(ByteView seed, std::string_view name) {
    return fmt::format("otpauth://totp/Holdfast:{}?secret={}&issuer=Holdfast", name, to_base32(seed));
}

} // namespace holdfast
