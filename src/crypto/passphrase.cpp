#include "crypto/passphrase.h"

#include "base/error.h"

#include <cerrno>

#include <sodium.h>

namespace holdfast {

namespace {

constexpr std::uint32_t least_memory_kib = 8 * 1024;
constexpr std::uint32_t most_memory_kib = 4 * 1024 * 1024;
constexpr std::uint32_t most_passes = 64;

} // namespace

Secret stretch_passphrase(std::string_view passphrase, const FixedBytes<16>& salt, const Argon2Cost& cost) {
    static_assert(FixedBytes<16>::size() == crypto_pwhash_argon2id_SALTBYTES);
    if (cost.memory_kib < least_memory_kib || cost.memory_kib > most_memory_kib || cost.passes < 1 ||
        cost.passes > most_passes) {
        throw Error(ErrorCode::usage,
                    "the cost of a passphrase is out of bounds: " + std::to_string(cost.memory_kib) +
                        " KiB, " + std::to_string(cost.passes) + " passes",
                    "8 MiB to 4 GiB and 1 to 64 passes are possible");
    }
    Secret key(32);
    errno = 0;
    if (crypto_pwhash_argon2id(key.mutable_view().data(), key.size(), passphrase.data(), passphrase.size(),
                               salt.bytes.data(), cost.passes, std::size_t{cost.memory_kib} * 1024,
                               crypto_pwhash_argon2id_ALG_ARGON2ID13) != 0) {
        throw Error(
            ErrorCode::no_space,
            "there is not enough memory to derive a key from the passphrase: " +
                std::to_string(cost.memory_kib / 1024) + " MiB are needed",
            "free memory, or raise the limit of this process; use a key file where there is little memory",
            true);
    }
    return key;
}

} // namespace holdfast
