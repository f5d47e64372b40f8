// Ed25519 signatures and X25519 sealing.
#pragma once

#include "base/bytes.h"
#include "base/secret.h"

#include <optional>

namespace holdfast {

using PublicKey = FixedBytes<32>;
using Signature = FixedBytes<64>;

// `seed` has 32 secret bytes.
class SigningKey {
  public:
    explicit SigningKey(Secret seed);
    PublicKey public_key() const { return public_key_; }
    Signature sign(ByteView message) const;

  private:
    Secret seed_; // and behind it the public key: the form libsodium signs with
    PublicKey public_key_;
};

// False also for keys that are no point of the curve, or one of small order, under which anybody can sign.
[[nodiscard]] bool verify_signature(const PublicKey& key, ByteView message, const Signature& signature);

// An X25519 private key.
class BoxKey {
  public:
    explicit BoxKey(Secret private_key);
    PublicKey public_key() const { return public_key_; }
    BoxKey copy() const { return BoxKey(private_key_.copy()); }
    // What seal_box made for this key, or nothing when it was made for another or changed.
    std::optional<Secret> open(ByteView info, ByteView sealed) const;

  private:
    Secret private_key_;
    PublicKey public_key_;
};

class Random;
// ephemeral public key 32 | AEAD ciphertext, as docs/format.md, section 3, mode 2. `info` binds the purpose.
Bytes seal_box(const PublicKey& recipient, ByteView info, ByteView plain, Random& random);

} // namespace holdfast
