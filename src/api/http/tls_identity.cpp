#include "api/http/tls_identity.h"

#include "base/error.h"
#include "base/file_descriptor.h"
#include "base/sha256.h"

#include <algorithm>
#include <array>
#include <ctime>
#include <memory>
#include <set>

#include <arpa/inet.h>
#include <fmt/format.h>
#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <unistd.h>

namespace holdfast::api {

namespace {

constexpr std::size_t most_file_bytes = 1u << 20;
constexpr auto lifetime = std::chrono::days(3650);
constexpr auto renewed_before_end = std::chrono::days(30);

template <auto Free>
struct Freed {
    template <typename Thing>
    void operator()(Thing* thing) const {
        Free(thing);
    }
};
using BioPtr = std::unique_ptr<BIO, Freed<BIO_free_all>>;
using KeyPtr = std::unique_ptr<EVP_PKEY, Freed<EVP_PKEY_free>>;
using CertificatePtr = std::unique_ptr<X509, Freed<X509_free>>;
using ExtensionPtr = std::unique_ptr<X509_EXTENSION, Freed<X509_EXTENSION_free>>;

void require(bool done, const char* what) {
    if (!done) throw Error(ErrorCode::internal, fmt::format("OpenSSL could not {}", what));
}

BioPtr memory(ByteView bytes) {
    BioPtr bio(BIO_new_mem_buf(bytes.data(), static_cast<int>(bytes.size())));
    require(bio != nullptr, "read from memory");
    return bio;
}

Bytes content(BIO* bio) {
    char* data = nullptr;
    const long size = BIO_get_mem_data(bio, &data);
    const ByteView view = as_bytes({data, static_cast<std::size_t>(size)});
    return Bytes(view.begin(), view.end());
}

Timestamp end_of(const X509* certificate) {
    std::tm broken_down{};
    require(ASN1_TIME_to_tm(X509_get0_notAfter(certificate), &broken_down) == 1, "read a certificate's end");
    const std::time_t seconds = ::timegm(&broken_down);
    // What 64 bits of nanoseconds cannot hold is far enough away.
    return Timestamp(std::chrono::seconds(std::min<std::time_t>(seconds, 9'000'000'000)));
}

std::string fingerprint_of(X509* certificate) {
    unsigned char* der = nullptr;
    const int size = i2d_X509(certificate, &der);
    require(size > 0, "encode a certificate");
    const std::string digest = sha256_hex(ByteView(der, static_cast<std::size_t>(size)));
    OPENSSL_free(der);
    return digest;
}

TlsIdentity identity_of(ByteView chain, ByteView key, const std::string& certificate_file,
                        const std::string& key_file) {
    const CertificatePtr certificate(PEM_read_bio_X509(memory(chain).get(), nullptr, nullptr, nullptr));
    if (!certificate)
        throw Error(ErrorCode::usage, fmt::format("{} holds no certificate in PEM", certificate_file));
    // Without asking anybody for a passphrase.
    const KeyPtr private_key(PEM_read_bio_PrivateKey(
        memory(key).get(), nullptr, [](char*, int, int, void*) { return 0; }, nullptr));
    if (!private_key) {
        throw Error(ErrorCode::usage, fmt::format("{} holds no private key in PEM", key_file),
                    "a key under a passphrase cannot be used");
    }
    if (X509_check_private_key(certificate.get(), private_key.get()) != 1) {
        throw Error(ErrorCode::usage,
                    fmt::format("{} is not the key of the certificate in {}", key_file, certificate_file),
                    "put the server's own certificate first in its file");
    }
    return {.chain = std::string(as_text(chain)),
            .key = Secret::copy_of(key),
            .fingerprint = fingerprint_of(certificate.get()),
            .not_after = end_of(certificate.get()),
            .self_made = false};
}

void add_extension(X509* certificate, int which, const std::string& value) {
    X509V3_CTX context;
    X509V3_set_ctx_nodb(&context);
    X509V3_set_ctx(&context, certificate, certificate, nullptr, nullptr, 0);
    const ExtensionPtr extension(X509V3_EXT_conf_nid(nullptr, &context, which, value.c_str()));
    require(extension != nullptr, "make an extension of a certificate");
    require(X509_add_ext(certificate, extension.get(), -1) == 1, "extend a certificate");
}

bool is_address(const std::string& name) {
    std::array<unsigned char, sizeof(in6_addr)> address{};
    return ::inet_pton(AF_INET, name.c_str(), address.data()) == 1 ||
           ::inet_pton(AF_INET6, name.c_str(), address.data()) == 1;
}

bool is_host_name(const std::string& name) {
    return !name.empty() &&
           name.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-") ==
               std::string::npos;
}

std::string alternative_names(const std::vector<std::string>& names) {
    std::set<std::string> all{"DNS:localhost", "IP:127.0.0.1", "IP:::1"};
    for (const std::string& name : names) {
        if (is_address(name)) {
            all.insert("IP:" + name);
        } else if (is_host_name(name)) {
            all.insert("DNS:" + name);
        }
    }
    std::string text;
    for (const std::string& name : all) text += (text.empty() ? "" : ",") + name;
    return text;
}

CertificatePtr make_certificate(EVP_PKEY* key, const std::vector<std::string>& names, Timestamp now) {
    CertificatePtr certificate(X509_new());
    require(certificate && X509_set_version(certificate.get(), X509_VERSION_3) == 1, "make a certificate");
    std::array<unsigned char, 16> serial{};
    require(RAND_bytes(serial.data(), serial.size()) == 1, "make a serial number");
    serial[0] &= 0x7F;
    serial[0] |= 0x40;
    using NumberPtr = std::unique_ptr<BIGNUM, Freed<BN_free>>;
    const NumberPtr number(BN_bin2bn(serial.data(), serial.size(), nullptr));
    require(number && BN_to_ASN1_INTEGER(number.get(), X509_get_serialNumber(certificate.get())) != nullptr,
            "set a serial number");
    const std::time_t seconds =
        std::chrono::duration_cast<std::chrono::seconds>(now.time_since_epoch()).count();
    // From yesterday on, for clients whose clocks are slow.
    require(ASN1_TIME_set(X509_getm_notBefore(certificate.get()), seconds - 86'400) != nullptr &&
                ASN1_TIME_set(X509_getm_notAfter(certificate.get()),
                              seconds + std::chrono::seconds(lifetime).count()) != nullptr,
            "set the time of a certificate");
    require(X509_set_pubkey(certificate.get(), key) == 1, "set the key of a certificate");
    X509_NAME* subject = X509_get_subject_name(certificate.get());
    constexpr std::string_view name = "Holdfast server";
    require(X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC,
                                       reinterpret_cast<const unsigned char*>(name.data()),
                                       static_cast<int>(name.size()), -1, 0) == 1 &&
                X509_set_issuer_name(certificate.get(), subject) == 1,
            "name a certificate");
    add_extension(certificate.get(), NID_basic_constraints, "critical,CA:FALSE");
    add_extension(certificate.get(), NID_key_usage, "critical,digitalSignature");
    add_extension(certificate.get(), NID_ext_key_usage, "serverAuth");
    add_extension(certificate.get(), NID_subject_alt_name, alternative_names(names));
    require(X509_sign(certificate.get(), key, EVP_sha256()) > 0, "sign a certificate");
    return certificate;
}

void make_identity(const std::string& certificate_file, const std::string& key_file,
                   const std::vector<std::string>& names, Timestamp now) {
    const KeyPtr key(EVP_EC_gen("P-256"));
    require(key != nullptr, "make a key");
    const CertificatePtr certificate = make_certificate(key.get(), names, now);
    const BioPtr key_out(BIO_new(BIO_s_secmem())), certificate_out(BIO_new(BIO_s_mem()));
    require(key_out && certificate_out &&
                PEM_write_bio_PrivateKey(key_out.get(), key.get(), nullptr, nullptr, 0, nullptr, nullptr) ==
                    1 &&
                PEM_write_bio_X509(certificate_out.get(), certificate.get()) == 1,
            "write a certificate");
    Bytes key_text = content(key_out.get());
    // The certificate last: without it there is none, and both are made again.
    write_file_durably(key_file, key_text, 0600);
    wipe(key_text);
    write_file_durably(certificate_file, content(certificate_out.get()), 0600);
}

} // namespace

TlsIdentity read_tls_identity(const std::string& certificate_file, const std::string& key_file) {
    const Bytes chain = read_file(certificate_file, most_file_bytes);
    Bytes key = read_file(key_file, most_file_bytes);
    try {
        TlsIdentity identity = identity_of(chain, key, certificate_file, key_file);
        wipe(key);
        return identity;
    } catch (...) {
        wipe(key);
        throw;
    }
}

TlsIdentity own_tls_identity(const std::string& directory, const std::vector<std::string>& names,
                             Clock& clock) {
    const std::string certificate_file = directory + "/server.crt", key_file = directory + "/server.key";
    create_directories_private(directory);
    if (::access(certificate_file.c_str(), F_OK) == 0 && ::access(key_file.c_str(), F_OK) == 0) {
        TlsIdentity identity = read_tls_identity(certificate_file, key_file);
        identity.self_made = true;
        if (identity.not_after - clock.now() > renewed_before_end) return identity;
    }
    make_identity(certificate_file, key_file, names, clock.now());
    TlsIdentity identity = read_tls_identity(certificate_file, key_file);
    identity.self_made = true;
    return identity;
}

std::string host_name() {
    std::array<char, 256> name{};
    return ::gethostname(name.data(), name.size() - 1) == 0 ? std::string(name.data()) : std::string();
}

} // namespace holdfast::api
