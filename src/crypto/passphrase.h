// From a passphrase to a key: Argon2id.
#pragma once

#include "base/bytes.h"
#include "base/secret.h"

#include <string_view>

namespace holdfast {

struct Argon2Cost {
    std::uint32_t memory_kib = 256 * 1024;
    std::uint32_t passes = 3;
};

// 32 bytes. Takes `cost.memory_kib` of memory for the while. Throws Error(usage) on costs outside what is
// sane (8 MiB to 4 GiB, 1 to 64 passes), so that a hostile slot cannot exhaust the machine.
Secret stretch_passphrase(std::string_view passphrase, const FixedBytes<16>& salt, const Argon2Cost& cost);

} // namespace holdfast
