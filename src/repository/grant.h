// A grant: the purpose keys of one slot, sealed to it (docs/format.md, section 4). The number of a grant is
// its newest epoch.
#pragma once

#include "base/secret.h"
#include "crypto/sign.h"
#include "repository/ids.h"
#include "repository/slot.h"

#include <map>
#include <optional>
#include <string>

namespace holdfast {

class Random;

enum class IdentityScope : std::uint8_t { none = 0, master = 1, domain = 2 };

// The public keys to which a write-only holder seals its runs.
struct EpochPublicKeys {
    PublicKey structure;
    PublicKey content;
};

using EpochSecrets = std::map<std::uint32_t, Secret>;

struct Grant {
    RepositoryId repository;
    PublicKey root;
    Role role = Role::read;
    std::string domain;
    std::uint32_t newest_epoch = 0;
    IdentityScope identity_scope = IdentityScope::none;
    Secret identity;                            // empty for prune
    EpochSecrets structure;                     // full, read, prune
    EpochSecrets content;                       // full, read
    std::optional<EpochPublicKeys> public_keys; // write

    Grant copy() const;
};

// The identity key of a domain, from the master secret.
Secret domain_identity_key(ByteView master, std::string_view domain);

// What a slot of this role and domain gets of what a full holder has: the table of section 4.
Grant cut_grant(const Grant& full, Role role, std::string_view domain);

// The body of the object `name`: sealed to `recipient`, for this name only.
Bytes seal_grant(const Grant& grant, std::string_view name, const PublicKey& recipient, Random& random);
// Throws Error(wrong_key) when it was sealed to another key or for another name, Error(corrupt) when what is
// inside is malformed or has not exactly what its role gets.
Grant open_grant(std::string_view name, ByteView body, const BoxKey& key);

} // namespace holdfast
