// Keys as files and on paper: key files, private keys, recovery texts, and the public identity of a holder.
#pragma once

#include "base/secret.h"
#include "crypto/sign.h"

#include <optional>
#include <string>
#include <string_view>

namespace holdfast {

// What stands in a key file or a private key file: 32 bytes as 64 hexadecimal digits, or as a recovery text.
// Lines that begin with '#' are comments. A line "root <64 digits>" pins the root of the repository.
struct KeyFile {
    Secret key;
    std::optional<PublicKey> root;
    // Others than the owner may read the file: worth a warning.
    bool exposed = false;
};

// Throws Error(usage) that says what is wrong, in recovery texts also for a mistyped character. `what` names
// the file.
KeyFile parse_key_file(std::string_view text, std::string_view what);
// Throws the system's error when the file cannot be read.
KeyFile read_key_file(const std::string& path);
// Creates the file with mode 0600; Error(already_exists) when it is there. Nothing is ever overwritten.
void write_key_file(const std::string& path, const Secret& key);

// 32 bytes as text for paper: 14 groups of 4 characters of Crockford's base32, in two lines, of which the
// last 24 bits are a checksum. Reading ignores case, blanks and hyphens and takes O for 0, I and L for 1.
std::string to_recovery_text(const Secret& key);
Secret from_recovery_text(std::string_view text);

// What the holder of a private key gives to an administrator to be enrolled. Signed by itself, so that a
// mistyped or mixed-up identity is noticed.
struct PublicIdentity {
    PublicKey signing_public;
    PublicKey box_public;
};
PublicIdentity public_identity(const Secret& seed);
// "holdfast-identity-1 <signing key> <box key> <signature>", one line.
std::string to_identity_text(const Secret& seed);
PublicIdentity from_identity_text(std::string_view text);

} // namespace holdfast
