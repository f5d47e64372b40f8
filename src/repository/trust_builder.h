// How Trust finds out which slots and revocations count. Used by trust.cpp only.
#pragma once

#include "repository/trust.h"

#include <map>
#include <set>
#include <string>

namespace holdfast {

// Signed statements about slots may contradict each other: a removed administrator can still write to the
// store, and remove who removed him. So revocations are replayed in the order in which they came to the
// store, by its own clock: what a slot signed after its revocation does not count. Where two came at once,
// both count; refusing is the safe side. A store that lies about the order could as well withhold the first
// one.
class TrustBuilder {
  public:
    explicit TrustBuilder(const RepositoryConfig& config) : config_(config) {}

    // Takes an object of `keys/` or `revocations/`, put at `modified`; a malformed one is ignored, with its
    // reason.
    void add(const std::string& name, Timestamp modified, ByteView object);
    void ignore(const std::string& name, std::string reason);
    Trust build() &&;

  private:
    template <typename Record>
    struct Candidate {
        std::string name;
        Record record;
        Timestamp modified{};
        ObjectKind kind = ObjectKind::slot;
        SlotId writer;
        ObjectDigest digest;
        Signature signature;
    };
    using SlotSet = std::set<SlotId>;

    const PublicKey* key_of(const SlotId& slot) const;
    bool ever_full(const SlotId& slot, SlotSet& visiting) const;
    template <typename Record>
    bool signed_by_full(const Candidate<Record>& candidate, SlotSet& visiting) const;
    template <typename Record>
    bool counts(const Candidate<Record>& candidate, const SlotSet& revoked, SlotSet& visiting) const;
    bool chain_counts(const SlotId& slot, const SlotSet& revoked, SlotSet& visiting) const;
    SlotSet find_revoked() const;

    const RepositoryConfig& config_;
    std::map<SlotId, Candidate<SlotRecord>> slots_;
    std::map<SlotId, Candidate<Revocation>> revocations_;
    Trust trust_;
};

} // namespace holdfast
