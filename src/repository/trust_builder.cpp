#include "repository/trust_builder.h"

#include "base/error.h"

#include <vector>

namespace holdfast {

void TrustBuilder::ignore(const std::string& name, std::string reason) {
    trust_.ignored_.push_back({name, std::move(reason)});
}

void TrustBuilder::add(const std::string& name, Timestamp modified, ByteView object) {
    try {
        const ObjectForm form = read_object_form(name, object);
        const auto fill = [&](auto candidate) {
            candidate.name = name;
            candidate.modified = modified;
            candidate.kind = form.header.kind;
            candidate.writer = form.header.writer;
            candidate.digest = form.digest;
            candidate.signature = form.signature;
            return candidate;
        };
        if (form.header.kind == ObjectKind::slot) {
            Candidate<SlotRecord> slot{.name = {},
                                       .record = read_slot(name, form.body),
                                       .writer = {},
                                       .digest = {},
                                       .signature = {}};
            if (slot.record.issuer != form.header.writer) {
                throw Error(ErrorCode::corrupt, name + " was not written by the issuer that it names");
            }
            const SlotId id = slot.record.slot;
            slots_.emplace(id, fill(std::move(slot)));
        } else {
            Candidate<Revocation> revocation{.name = {},
                                             .record = read_revocation(name, form.body),
                                             .writer = {},
                                             .digest = {},
                                             .signature = {}};
            const SlotId id = revocation.record.slot;
            revocations_.emplace(id, fill(std::move(revocation)));
        }
    } catch (const Error& error) {
        ignore(name, error.message());
    }
}

// The root's key stands in the config; of a removed slot the revocation keeps it.
const PublicKey* TrustBuilder::key_of(const SlotId& slot) const {
    if (slot == config_.root_slot) return &config_.root;
    if (const auto found = slots_.find(slot); found != slots_.end())
        return &found->second.record.signing_public;
    const auto removed = revocations_.find(slot);
    return removed != revocations_.end() ? &removed->second.record.signing_public : nullptr;
}

template <typename Record>
bool TrustBuilder::signed_by_full(const Candidate<Record>& candidate, SlotSet& visiting) const {
    const PublicKey* key = key_of(candidate.writer);
    return key != nullptr && ever_full(candidate.writer, visiting) &&
           verify_digest(*key, candidate.name, candidate.digest, candidate.signature);
}

bool TrustBuilder::ever_full(const SlotId& slot, SlotSet& visiting) const {
    if (slot == config_.root_slot) return true;
    if (!visiting.insert(slot).second) return false;
    bool full = false;
    if (const auto found = slots_.find(slot); found != slots_.end()) {
        full = found->second.record.role == Role::full && signed_by_full(found->second, visiting);
    } else if (const auto removed = revocations_.find(slot); removed != revocations_.end()) {
        full = removed->second.record.role == Role::full && signed_by_full(removed->second, visiting);
    }
    visiting.erase(slot);
    return full;
}

template <typename Record>
bool TrustBuilder::counts(const Candidate<Record>& candidate, const SlotSet& revoked,
                          SlotSet& visiting) const {
    if (revoked.contains(candidate.writer)) {
        const Revocation& left = revocations_.at(candidate.writer).record;
        if (!left.counts(candidate.kind, candidate.name, RunId{}, candidate.digest)) return false;
    }
    return chain_counts(candidate.writer, revoked, visiting);
}

bool TrustBuilder::chain_counts(const SlotId& slot, const SlotSet& revoked, SlotSet& visiting) const {
    if (slot == config_.root_slot) return true;
    if (!visiting.insert(slot).second) return false;
    const auto found = slots_.find(slot);
    const auto removed = revocations_.find(slot);
    const bool chained = (found != slots_.end() && counts(found->second, revoked, visiting)) ||
                         (removed != revocations_.end() && counts(removed->second, revoked, visiting));
    visiting.erase(slot);
    return chained;
}

TrustBuilder::SlotSet TrustBuilder::find_revoked() const {
    std::map<Timestamp, std::vector<SlotId>> sound; // by the time at which they came
    for (const auto& [slot, revocation] : revocations_) {
        SlotSet visiting{slot};
        if (revocation.writer != slot && signed_by_full(revocation, visiting)) {
            sound[revocation.modified].push_back(slot);
        }
    }
    SlotSet revoked;
    for (const auto& [time, slots] : sound) {
        SlotSet at_once;
        for (const SlotId& slot : slots) {
            SlotSet visiting{slot};
            if (counts(revocations_.at(slot), revoked, visiting)) at_once.insert(slot);
        }
        revoked.merge(at_once);
    }
    return revoked;
}

Trust TrustBuilder::build() && {
    const SlotSet revoked = find_revoked();
    for (auto& [slot, candidate] : slots_) {
        if (revoked.contains(slot)) continue;
        SlotSet visiting{slot};
        SlotSet ever_visiting;
        const bool is_root = slot == config_.root_slot;
        const bool genuine =
            is_root ? candidate.writer == slot && candidate.record.role == Role::full &&
                          candidate.record.signing_public == config_.root &&
                          verify_digest(config_.root, candidate.name, candidate.digest, candidate.signature)
                    : signed_by_full(candidate, ever_visiting) && counts(candidate, revoked, visiting);
        if (genuine) {
            trust_.active_.emplace(slot, std::move(candidate.record));
        } else {
            ignore(candidate.name, "no chain of signatures leads from it to the root of the repository");
        }
    }
    for (auto& [slot, candidate] : revocations_) {
        if (revoked.contains(slot)) {
            trust_.revoked_.emplace(slot, std::move(candidate.record));
        } else {
            ignore(candidate.name, "it was not signed by a slot that may remove others");
        }
    }
    trust_.root_slot_ = config_.root_slot;
    trust_.root_ = config_.root;
    return std::move(trust_);
}

} // namespace holdfast
