// AES-256-GCM: encrypt and prove.
#pragma once

#include "base/bytes.h"

#include <cstdint>
#include <memory>

namespace holdfast {

constexpr std::size_t aead_tag_bytes = 16;

// One key, many messages; each nonce must be used once per key. Holds the expanded key, so that many small
// messages are cheap. Not thread-safe: one per thread.
class Aead {
  public:
    // `key` has 32 bytes.
    explicit Aead(ByteView key);
    ~Aead();
    Aead(Aead&&) noexcept;
    Aead& operator=(Aead&&) noexcept;

    // The nonce is `number`, little-endian, then eight zero bytes. `out` has plain.size() + aead_tag_bytes
    // and must not overlap `plain`.
    void seal(std::uint32_t number, ByteView associated, ByteView plain, MutableByteView out);
    // False, and `out` is wiped, when a bit is not as it was sealed. `out` has sealed.size() -
    // aead_tag_bytes.
    [[nodiscard]] bool open(std::uint32_t number, ByteView associated, ByteView sealed, MutableByteView out);

    Bytes seal(std::uint32_t number, ByteView associated, ByteView plain);

  private:
    struct State;
    std::unique_ptr<State> state_;
};

} // namespace holdfast
