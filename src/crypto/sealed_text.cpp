#include "crypto/sealed_text.h"

#include "base/error.h"
#include "crypto/aead.h"
#include "crypto/hash.h"

namespace holdfast {

namespace {

constexpr std::size_t salt_bytes = 16;

Aead aead_for(std::string_view secret, ByteView salt, std::string_view purpose) {
    return Aead(hkdf(salt, as_bytes(secret), as_bytes(purpose)).view());
}

} // namespace

std::string seal_text(std::string_view secret, std::string_view purpose, std::string_view text,
                      Random& random) {
    const auto salt = random.id<salt_bytes>();
    ByteWriter out;
    out.fixed_bytes(salt);
    // Every salt is another key, so one nonce does for all.
    out.raw(aead_for(secret, salt.bytes, purpose).seal(0, as_bytes(purpose), as_bytes(text)));
    return to_base64(out.bytes());
}

std::optional<std::string> open_text(std::string_view secret, std::string_view purpose,
                                     std::string_view sealed) {
    Bytes bytes;
    try {
        bytes = from_base64(sealed);
    } catch (const Error&) {
        return std::nullopt;
    }
    if (bytes.size() < salt_bytes + aead_tag_bytes) return std::nullopt;
    const ByteView all(bytes);
    std::string text(bytes.size() - salt_bytes - aead_tag_bytes, '\0');
    const MutableByteView out(reinterpret_cast<Byte*>(text.data()), text.size());
    if (!aead_for(secret, all.first(salt_bytes), purpose)
             .open(0, as_bytes(purpose), all.subspan(salt_bytes), out))
        return std::nullopt;
    return text;
}

} // namespace holdfast
