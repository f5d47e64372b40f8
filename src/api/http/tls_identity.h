// The certificate and key that the server shows.
#pragma once

#include "base/clock.h"
#include "base/secret.h"

#include <string>
#include <vector>

namespace holdfast::api {

struct TlsIdentity {
    std::string chain; // PEM, the server's own certificate first
    Secret key;        // PEM
    // SHA-256 of the certificate, hexadecimal: what a client may be told to trust.
    std::string fingerprint;
    Timestamp not_after{};
    bool self_made = false;
};

// Of two PEM files. Throws Error(usage) when they hold no certificate and its key, and what reading throws.
TlsIdentity read_tls_identity(const std::string& certificate_file, const std::string& key_file);

// The one that is kept as server.crt and server.key (mode 0600) in `directory`, or a new one there: ECDSA on
// P-256, signed by itself, for ten years, for localhost, 127.0.0.1, ::1 and `names` (host names and
// addresses). One that has less than 30 days left is made anew.
TlsIdentity own_tls_identity(const std::string& directory, const std::vector<std::string>& names,
                             Clock& clock);

// The name that this machine has for itself.
std::string host_name();

} // namespace holdfast::api
