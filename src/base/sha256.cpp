#include "base/sha256.h"

#include "base/error.h"

#include <memory>

#include <openssl/evp.h>
#include <openssl/hmac.h>

namespace holdfast {

namespace {

struct FreeDigestContext {
    void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
};

} // namespace

std::string sha256_hex(std::span<const ByteView> parts) {
    const std::unique_ptr<EVP_MD_CTX, FreeDigestContext> context(EVP_MD_CTX_new());
    FixedBytes<32> digest;
    bool good = context && EVP_DigestInit_ex(context.get(), EVP_sha256(), nullptr) == 1;
    for (const ByteView part : parts)
        good = good && EVP_DigestUpdate(context.get(), part.data(), part.size()) == 1;
    good = good && EVP_DigestFinal_ex(context.get(), digest.bytes.data(), nullptr) == 1;
    if (!good) throw Error(ErrorCode::internal, "OpenSSL cannot compute a SHA-256");
    return digest.hex();
}

FixedBytes<32> hmac_sha256(ByteView key, std::string_view text) {
    FixedBytes<32> digest;
    unsigned size = 0;
    const ByteView data = as_bytes(text);
    if (HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()), data.data(), data.size(),
             digest.bytes.data(), &size) == nullptr) {
        throw Error(ErrorCode::internal, "OpenSSL cannot compute an HMAC");
    }
    return digest;
}

} // namespace holdfast
