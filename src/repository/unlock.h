// From a passphrase or key file to a key ring that belongs to the right repository.
#pragma once

#include "base/secret.h"
#include "repository/config.h"
#include "repository/key_file.h"
#include "repository/key_ring.h"
#include "repository/slot.h"
#include "repository/trust.h"
#include "store/store.h"

#include <map>
#include <memory>
#include <optional>
#include <string>

namespace holdfast {

// How a holder proves himself.
struct Credential {
    SlotKind kind = SlotKind::passphrase;
    Secret secret;                 // the passphrase; the key file's 32 bytes; the seed of a public-key slot
    std::optional<PublicKey> root; // what the holder knows of the repository

    static Credential passphrase(Secret text) {
        return {SlotKind::passphrase, std::move(text), std::nullopt};
    }
    static Credential key_file(KeyFile file) { return {SlotKind::key_file, std::move(file.key), file.root}; }
    static Credential private_key(KeyFile file) {
        return {SlotKind::public_key, std::move(file.key), file.root};
    }
};

struct UnlockOptions {
    // What this machine remembers of the repository, from the last time or from its configuration. A
    // public-key slot has nothing else to tell the repository from another that a hostile store put in its
    // place.
    std::optional<RepositoryId> repository;
    std::optional<PublicKey> root;
    // The newest epoch that this machine has seen: an older one means that the store withholds a grant.
    std::uint32_t least_epoch = 0;
    std::optional<SlotId> slot; // only this one; otherwise each that could fit is tried
    std::shared_ptr<RunSecretCache> cache;
    CallOptions call;
};

struct Unlocked {
    RepositoryConfig config;
    Trust trust;
    KeyRing ring;
};

// Throws Error(not_found) when there is no repository, Error(wrong_key) when no slot opens,
// Error(access_denied) when the slot was removed, or when the repository is not the one that the slot or the
// options name.
Unlocked unlock(Store& store, const Credential& credential, const UnlockOptions& options = {});

// Learns what was changed since by others: slots, and keys that were rotated. For programs that run for long.
// Throws Error(access_denied) when the slot was removed. Not thread-safe.
void refresh(Store& store, Unlocked& unlocked, const CallOptions& options = {});

// The newest grant of a slot that counts: the one with the highest number that a full slot signed.
struct StoredGrant {
    std::string name;
    std::uint32_t number = 0;
    Bytes body;
};
std::optional<StoredGrant> newest_grant(Store& store, const Trust& trust, const SlotId& slot,
                                        const CallOptions& options = {});

} // namespace holdfast
