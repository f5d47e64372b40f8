// BLAKE3 in the three ways the repository format uses it, and HKDF-Expand with SHA-256.
#pragma once

#include "base/bytes.h"
#include "base/secret.h"

#include <memory>
#include <string_view>

namespace holdfast {

using Key = FixedBytes<32>; // of public values only; secret keys live in Secret

// Streaming BLAKE3. Not thread-safe.
class Hasher {
  public:
    // Keyed mode; `key` has 32 bytes and may be wiped afterwards.
    static Hasher keyed(ByteView key);
    // Derive-key mode: for values with a purpose that the context names.
    static Hasher derive(std::string_view context);
    ~Hasher();
    Hasher(Hasher&&) noexcept;
    Hasher& operator=(Hasher&&) noexcept;

    Hasher& update(ByteView data);
    // As many bytes as `out` has; may be called again and with other sizes.
    void finish(MutableByteView out) const;
    template <std::size_t N>
    FixedBytes<N> finish() const {
        FixedBytes<N> digest;
        finish(digest.bytes);
        return digest;
    }
    // Forgets what was fed, keeps key or context.
    void reset();

  private:
    struct State;
    explicit Hasher(std::unique_ptr<State> state);
    std::unique_ptr<State> state_;
};

// One-shot forms.
template <std::size_t N>
FixedBytes<N> keyed_hash(ByteView key, ByteView data) {
    return Hasher::keyed(key).update(data).finish<N>();
}
template <std::size_t N>
FixedBytes<N> derive_hash(std::string_view context, ByteView data) {
    return Hasher::derive(context).update(data).finish<N>();
}

// HKDF-Expand (RFC 5869, section 2.3) with SHA-256, 32 bytes: a key for the purpose that `info` names.
Secret hkdf_expand(ByteView key, ByteView info);
// HKDF-Extract, then HKDF-Expand.
Secret hkdf(ByteView salt, ByteView input, ByteView info);

} // namespace holdfast
