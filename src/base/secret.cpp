#include "base/secret.h"

#include "base/error.h"

#include <algorithm>

#include <sodium.h>

namespace holdfast {

Secret::Secret(std::size_t size) : size_(size) {
    if (size == 0) return;
    // sodium_init is idempotent and thread-safe; it answers 1 when it ran before.
    if (sodium_init() < 0) throw Error(ErrorCode::internal, "libsodium did not start");
    data_.reset(static_cast<Byte*>(sodium_malloc(size)));
    if (!data_)
        throw Error(ErrorCode::internal, "no memory for a key",
                    "raise the limit of locked memory (ulimit -l)");
    sodium_memzero(data_.get(), size);
}

Secret Secret::copy_of(ByteView bytes) {
    Secret secret(bytes.size());
    std::copy(bytes.begin(), bytes.end(), secret.data_.get());
    return secret;
}

void Secret::Free::operator()(Byte* data) const { sodium_free(data); }

void wipe(MutableByteView bytes) { sodium_memzero(bytes.data(), bytes.size()); }

} // namespace holdfast
