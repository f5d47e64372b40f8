// Who may write what: the registry of slots (docs/format.md, section 4).
#pragma once

#include "repository/config.h"
#include "repository/object.h"
#include "repository/revocation.h"
#include "repository/slot.h"
#include "store/store.h"

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace holdfast {

// A signature to be judged.
struct Claim {
    std::string_view name;
    ObjectKind kind = ObjectKind::config;
    SlotId writer;
    RunId run;
    ObjectDigest digest;
    Signature signature;
};

// An object that claims to say who may do what, and does not count: damaged, or by nobody with the right.
struct IgnoredObject {
    std::string name;
    std::string reason;
};

// Immutable once loaded, and then thread-safe.
class Trust {
  public:
    // Reads `keys/` and `revocations/`. A slot counts when a chain of signatures by full slots leads from it
    // to the root of `config`; objects for which that does not hold are listed in ignored(), never an error,
    // so that whoever can write to the store cannot lock the others out. Throws Error(access_denied) when
    // `config` itself no longer counts, because its root was removed and it was exchanged since.
    static Trust load(Store& store, const RepositoryConfig& config, const CallOptions& options = {});

    // Throws Error(access_denied) when the writer is not enrolled, was removed, or may not write this, and
    // Error(corrupt) when the signature is not his.
    void require(const Claim& claim) const;
    void require(std::string_view name, const ObjectForm& form) const;
    // Whether slot S may write an object of this kind in this run, signatures apart. Of a removed slot this
    // is true only for kinds that count by run (see counts_by_run), in the runs that were left to it.
    bool may_write(const SlotId& slot, ObjectKind kind, const RunId& run) const;

    // Whether what slot S signs may say that it is of this domain: of a writer, only of his own.
    bool may_speak_of(const SlotId& slot, std::string_view domain) const;
    // What a domain is called, if any slot was ever enrolled in it.
    std::optional<std::string> domain_named(const DomainId& domain) const;

    // A slot that is enrolled and was not removed; null otherwise.
    const SlotRecord* active(const SlotId& slot) const;
    // Ordered by id.
    std::vector<const SlotRecord*> active_slots() const;
    // A slot that was removed; null otherwise.
    const Revocation* revocation(const SlotId& slot) const;
    std::vector<const Revocation*> revocations() const;
    const std::vector<IgnoredObject>& ignored() const { return ignored_; }

  private:
    friend class TrustBuilder;
    struct Signer {
        Role role = Role::read;
        std::string_view domain;
        const PublicKey* key = nullptr;
        const Revocation* revocation = nullptr; // null unless removed
    };
    std::optional<Signer> find_signer(const SlotId& slot) const;

    SlotId root_slot_;
    PublicKey root_;
    std::map<SlotId, SlotRecord> active_;
    std::map<SlotId, Revocation> revoked_;
    std::vector<IgnoredObject> ignored_;
};

} // namespace holdfast
