#include "crypto/sign.h"

#include "base/error.h"
#include "base/random.h"
#include "crypto/aead.h"
#include "crypto/hash.h"

#include <memory>
#include <utility>

#include <openssl/evp.h>
#include <sodium.h>

namespace holdfast {

namespace {

constexpr std::size_t key_bytes = 32;

struct FreeKey {
    void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
};
struct FreeKeyContext {
    void operator()(EVP_PKEY_CTX* context) const { EVP_PKEY_CTX_free(context); }
};
using EvpKey = std::unique_ptr<EVP_PKEY, FreeKey>;

void require(bool done) {
    if (!done) throw Error(ErrorCode::internal, "a public-key operation failed");
}

EvpKey private_key(const Secret& secret) {
    if (secret.size() != key_bytes) throw Error(ErrorCode::internal, "a private key does not have 32 bytes");
    EvpKey key(EVP_PKEY_new_raw_private_key(EVP_PKEY_X25519, nullptr, secret.view().data(), secret.size()));
    require(key != nullptr);
    return key;
}

PublicKey public_part(const EVP_PKEY* key) {
    PublicKey out;
    std::size_t size = out.bytes.size();
    require(EVP_PKEY_get_raw_public_key(key, out.bytes.data(), &size) == 1 && size == out.bytes.size());
    return out;
}

// X25519 (RFC 7748). Nothing when the result is all zero, which only a point of small order gives.
std::optional<Secret> agree(EVP_PKEY* ours, const PublicKey& theirs) {
    const EvpKey peer(
        EVP_PKEY_new_raw_public_key(EVP_PKEY_X25519, nullptr, theirs.bytes.data(), theirs.bytes.size()));
    const std::unique_ptr<EVP_PKEY_CTX, FreeKeyContext> context(EVP_PKEY_CTX_new(ours, nullptr));
    require(peer && context && EVP_PKEY_derive_init(context.get()) == 1);
    require(EVP_PKEY_derive_set_peer(context.get(), peer.get()) == 1);
    Secret shared(key_bytes);
    std::size_t size = shared.size();
    if (EVP_PKEY_derive(context.get(), shared.mutable_view().data(), &size) != 1 || size != key_bytes)
        return {};
    return shared;
}

Secret seal_key(const Secret& shared, const PublicKey& ephemeral, const PublicKey& recipient, ByteView info) {
    std::array<Byte, 2 * key_bytes> salt;
    std::memcpy(salt.data(), ephemeral.bytes.data(), key_bytes);
    std::memcpy(salt.data() + key_bytes, recipient.bytes.data(), key_bytes);
    return hkdf(salt, shared.view(), info);
}

} // namespace

// Ed25519 is libsodium's: unlike OpenSSL's it refuses public keys of small order, under which a signature
// says nothing.
SigningKey::SigningKey(Secret seed) : seed_(crypto_sign_ed25519_SECRETKEYBYTES) {
    if (seed.size() != crypto_sign_ed25519_SEEDBYTES) {
        throw Error(ErrorCode::internal, "a signing key does not have 32 bytes");
    }
    require(crypto_sign_ed25519_seed_keypair(public_key_.bytes.data(), seed_.mutable_view().data(),
                                             seed.view().data()) == 0);
}

Signature SigningKey::sign(ByteView message) const {
    Signature signature;
    require(crypto_sign_ed25519_detached(signature.bytes.data(), nullptr, message.data(), message.size(),
                                         seed_.view().data()) == 0);
    return signature;
}

bool verify_signature(const PublicKey& key, ByteView message, const Signature& signature) {
    return crypto_sign_ed25519_verify_detached(signature.bytes.data(), message.data(), message.size(),
                                               key.bytes.data()) == 0;
}

BoxKey::BoxKey(Secret private_bytes)
    : private_key_(std::move(private_bytes)), public_key_(public_part(private_key(private_key_).get())) {}

std::optional<Secret> BoxKey::open(ByteView info, ByteView sealed) const {
    if (sealed.size() < key_bytes + aead_tag_bytes) return {};
    PublicKey ephemeral;
    std::memcpy(ephemeral.bytes.data(), sealed.data(), key_bytes);
    const auto shared = agree(private_key(private_key_).get(), ephemeral);
    if (!shared) return {};
    const Secret key = seal_key(*shared, ephemeral, public_key_, info);
    Secret plain(sealed.size() - key_bytes - aead_tag_bytes);
    if (!Aead(key.view()).open(0, {}, sealed.subspan(key_bytes), plain.mutable_view())) return {};
    return plain;
}

Bytes seal_box(const PublicKey& recipient, ByteView info, ByteView plain, Random& random) {
    Secret secret(key_bytes);
    random.fill(secret.mutable_view());
    const EvpKey ephemeral = private_key(secret);
    const PublicKey ephemeral_public = public_part(ephemeral.get());
    const auto shared = agree(ephemeral.get(), recipient);
    if (!shared) {
        throw Error(ErrorCode::usage, "a public key to encrypt to is not valid: " + recipient.hex(),
                    "ask its holder for the key again");
    }
    const Secret key = seal_key(*shared, ephemeral_public, recipient, info);
    Bytes out(key_bytes + plain.size() + aead_tag_bytes);
    std::memcpy(out.data(), ephemeral_public.bytes.data(), key_bytes);
    Aead(key.view()).seal(0, {}, plain, MutableByteView(out).subspan(key_bytes));
    return out;
}

} // namespace holdfast
