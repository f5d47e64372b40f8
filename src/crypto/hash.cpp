#include "crypto/hash.h"

#include "base/error.h"

#include <utility>

#include <blake3.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>

namespace holdfast {

struct Hasher::State {
    blake3_hasher hasher;
    State() = default;
    State(const State&) = delete;
    State& operator=(const State&) = delete;
    // The key, and in derive mode the key of the context, stand in the state.
    ~State() { wipe({reinterpret_cast<Byte*>(&hasher), sizeof hasher}); }
};

Hasher::Hasher(std::unique_ptr<State> state) : state_(std::move(state)) {}
Hasher::~Hasher() = default;
Hasher::Hasher(Hasher&&) noexcept = default;
Hasher& Hasher::operator=(Hasher&&) noexcept = default;

Hasher Hasher::keyed(ByteView key) {
    if (key.size() != BLAKE3_KEY_LEN) throw Error(ErrorCode::internal, "a hash key does not have 32 bytes");
    auto state = std::make_unique<State>();
    blake3_hasher_init_keyed(&state->hasher, key.data());
    return Hasher(std::move(state));
}

Hasher Hasher::derive(std::string_view context) {
    auto state = std::make_unique<State>();
    blake3_hasher_init_derive_key_raw(&state->hasher, context.data(), context.size());
    return Hasher(std::move(state));
}

Hasher& Hasher::update(ByteView data) {
    blake3_hasher_update(&state_->hasher, data.data(), data.size());
    return *this;
}

void Hasher::finish(MutableByteView out) const {
    blake3_hasher_finalize(&state_->hasher, out.data(), out.size());
}

void Hasher::reset() { blake3_hasher_reset(&state_->hasher); }

namespace {

struct FreeKdf {
    void operator()(EVP_KDF* kdf) const { EVP_KDF_free(kdf); }
};
struct FreeKdfContext {
    void operator()(EVP_KDF_CTX* context) const { EVP_KDF_CTX_free(context); }
};

// OpenSSL's parameters are not const, although it only reads these.
OSSL_PARAM octets(const char* name, ByteView bytes) {
    return OSSL_PARAM_construct_octet_string(name, const_cast<Byte*>(bytes.data()), bytes.size());
}

Secret derive_key(int mode, ByteView salt, ByteView input, ByteView info) {
    // Fetching looks through the providers; once per program is enough. The object is immutable and
    // thread-safe.
    static const std::unique_ptr<EVP_KDF, FreeKdf> kdf(EVP_KDF_fetch(nullptr, "HKDF", nullptr));
    const std::unique_ptr<EVP_KDF_CTX, FreeKdfContext> context(kdf ? EVP_KDF_CTX_new(kdf.get()) : nullptr);
    std::array<char, 7> digest{"SHA256"};
    std::array<OSSL_PARAM, 6> parameters;
    std::size_t count = 0;
    parameters[count++] = OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest.data(), 0);
    parameters[count++] = OSSL_PARAM_construct_int(OSSL_KDF_PARAM_MODE, &mode);
    parameters[count++] = octets(OSSL_KDF_PARAM_KEY, input);
    if (!salt.empty()) parameters[count++] = octets(OSSL_KDF_PARAM_SALT, salt);
    if (!info.empty()) parameters[count++] = octets(OSSL_KDF_PARAM_INFO, info);
    parameters[count] = OSSL_PARAM_construct_end();
    Secret key(32);
    if (!context ||
        EVP_KDF_derive(context.get(), key.mutable_view().data(), key.size(), parameters.data()) != 1) {
        throw Error(ErrorCode::internal, "OpenSSL derived no key with HKDF");
    }
    return key;
}

} // namespace

Secret hkdf_expand(ByteView key, ByteView info) {
    return derive_key(EVP_KDF_HKDF_MODE_EXPAND_ONLY, {}, key, info);
}

Secret hkdf(ByteView salt, ByteView input, ByteView info) {
    return derive_key(EVP_KDF_HKDF_MODE_EXTRACT_AND_EXPAND, salt, input, info);
}

} // namespace holdfast
