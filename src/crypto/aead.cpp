#include "crypto/aead.h"

#include "base/error.h"
#include "base/secret.h"

#include <array>
#include <climits>

#include <openssl/evp.h>

namespace holdfast {

namespace {

constexpr std::size_t key_bytes = 32;
constexpr std::size_t nonce_bytes = 12;

struct FreeContext {
    void operator()(EVP_CIPHER_CTX* context) const { EVP_CIPHER_CTX_free(context); }
};
using Context = std::unique_ptr<EVP_CIPHER_CTX, FreeContext>;

// The cipher is fetched once per program: OpenSSL's own look-up on each use costs more than a small message.
const EVP_CIPHER* cipher() {
    struct Free {
        void operator()(EVP_CIPHER* fetched) const { EVP_CIPHER_free(fetched); }
    };
    static const std::unique_ptr<EVP_CIPHER, Free> fetched(EVP_CIPHER_fetch(nullptr, "AES-256-GCM", nullptr));
    if (!fetched) throw Error(ErrorCode::internal, "OpenSSL has no AES-256-GCM");
    return fetched.get();
}

std::array<Byte, nonce_bytes> nonce_of(std::uint32_t number) {
    std::array<Byte, nonce_bytes> nonce{};
    for (std::size_t i = 0; i < 4; ++i) nonce[i] = static_cast<Byte>(number >> (8 * i));
    return nonce;
}

int checked_size(ByteView bytes) {
    if (bytes.size() > INT_MAX) throw Error(ErrorCode::internal, "a message is too large to encrypt");
    return static_cast<int>(bytes.size());
}

void require(bool done) {
    if (!done) throw Error(ErrorCode::internal, "OpenSSL did not encrypt or decrypt with AES-256-GCM");
}

} // namespace

struct Aead::State {
    Context sealing;
    Context opening;
};

Aead::Aead(ByteView key) : state_(std::make_unique<State>()) {
    if (key.size() != key_bytes) throw Error(ErrorCode::internal, "an encryption key does not have 32 bytes");
    for (Context* context : {&state_->sealing, &state_->opening}) context->reset(EVP_CIPHER_CTX_new());
    require(state_->sealing && state_->opening);
    require(EVP_EncryptInit_ex2(state_->sealing.get(), cipher(), key.data(), nullptr, nullptr) == 1);
    require(EVP_DecryptInit_ex2(state_->opening.get(), cipher(), key.data(), nullptr, nullptr) == 1);
}

Aead::~Aead() = default;
Aead::Aead(Aead&&) noexcept = default;
Aead& Aead::operator=(Aead&&) noexcept = default;

void Aead::seal(std::uint32_t number, ByteView associated, ByteView plain, MutableByteView out) {
    require(out.size() == plain.size() + aead_tag_bytes);
    EVP_CIPHER_CTX* context = state_->sealing.get();
    const auto nonce = nonce_of(number);
    int written = 0;
    // A null cipher and key keep what is set: only the nonce is new.
    require(EVP_EncryptInit_ex2(context, nullptr, nullptr, nonce.data(), nullptr) == 1);
    if (!associated.empty()) {
        require(EVP_EncryptUpdate(context, nullptr, &written, associated.data(), checked_size(associated)) ==
                1);
    }
    if (!plain.empty()) {
        require(EVP_EncryptUpdate(context, out.data(), &written, plain.data(), checked_size(plain)) == 1);
    }
    Byte* tag = out.data() + plain.size();
    require(EVP_EncryptFinal_ex(context, tag, &written) == 1);
    require(EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, aead_tag_bytes, tag) == 1);
}

bool Aead::open(std::uint32_t number, ByteView associated, ByteView sealed, MutableByteView out) {
    if (sealed.size() < aead_tag_bytes) return false;
    const ByteView cipher_text = sealed.first(sealed.size() - aead_tag_bytes);
    require(out.size() == cipher_text.size());
    EVP_CIPHER_CTX* context = state_->opening.get();
    const auto nonce = nonce_of(number);
    std::array<Byte, aead_tag_bytes> tag;
    std::memcpy(tag.data(), sealed.data() + cipher_text.size(), tag.size());
    int written = 0;
    require(EVP_DecryptInit_ex2(context, nullptr, nullptr, nonce.data(), nullptr) == 1);
    if (!associated.empty()) {
        require(EVP_DecryptUpdate(context, nullptr, &written, associated.data(), checked_size(associated)) ==
                1);
    }
    if (!cipher_text.empty()) {
        require(EVP_DecryptUpdate(context, out.data(), &written, cipher_text.data(),
                                  checked_size(cipher_text)) == 1);
    }
    require(EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, aead_tag_bytes, tag.data()) == 1);
    std::array<Byte, aead_tag_bytes> rest;
    if (EVP_DecryptFinal_ex(context, rest.data(), &written) == 1) return true;
    wipe(out);
    return false;
}

Bytes Aead::seal(std::uint32_t number, ByteView associated, ByteView plain) {
    Bytes out(plain.size() + aead_tag_bytes);
    seal(number, associated, plain, out);
    return out;
}

} // namespace holdfast
