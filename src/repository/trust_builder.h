// How Trust finds out which slots and revocations count. Used by trust.cpp only.
#pragma once

#include "repository/trust.h"

#include <map>
#include <set>
#include <string>

namespace holdfast {

// Signed statements about slots may contradict each other: a removed administrator can still write to the
// store. So what counts is found in two steps. First, by signatures alone: which revocations were ever signed
// by a full slot. Then, which of them still count once revocations take effect; that is a fixed point,
// because revoking somebody can undo what he revoked. Two slots that revoke each other both lose: nobody can
// prove who was first, and refusing is the safe side.
class TrustBuilder {
  public:
    explicit TrustBuilder(const RepositoryConfig& config) : config_(config) {}

    // Takes an object of `keys/` or `revocations/`; a malformed one is ignored, with its reason.
    void add(const std::string& name, ByteView object);
    void ignore(const std::string& name, std::string reason);
    Trust build() &&;

  private:
    template <typename Record>
    struct Candidate {
        std::string name;
        Record record;
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
    SlotSet effective(const SlotSet& sound, const SlotSet& revoked) const;
    SlotSet find_revoked() const;

    const RepositoryConfig& config_;
    std::map<SlotId, Candidate<SlotRecord>> slots_;
    std::map<SlotId, Candidate<Revocation>> revocations_;
    Trust trust_;
};

} // namespace holdfast
