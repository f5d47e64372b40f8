// Making the record of a new slot. Used by key_slots.cpp and create_repository.cpp only.
#pragma once

#include "base/clock.h"
#include "base/random.h"
#include "repository/slot.h"
#include "repository/unlock.h"

#include <string>

namespace holdfast {

struct SlotPlan {
    std::string label;
    Role role = Role::read;
    std::string domain;
    Argon2Cost cost;
    RepositoryId repository;
    PublicKey root;
    SlotId issuer;
    Timestamp created{};
};

// A slot that opens with `credential`. `seed` is its seed: random for a passphrase or key file, the
// credential's own for a private key. Throws Error(usage) on a label, domain or passphrase that cannot be.
SlotRecord make_slot(const SlotId& slot, const SlotPlan& plan, const Credential& credential,
                     const Secret& seed, Random& random);
// A slot whose holder keeps his private key to himself.
SlotRecord make_slot(const SlotId& slot, const SlotPlan& plan, const PublicIdentity& identity);

} // namespace holdfast
