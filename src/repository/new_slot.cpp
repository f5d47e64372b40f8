#include "repository/new_slot.h"

#include "base/error.h"

namespace holdfast {

namespace {

SlotRecord begin_slot(const SlotId& slot, const SlotPlan& plan, const PublicIdentity& identity) {
    check_label(plan.label);
    check_domain(plan.domain);
    SlotRecord record;
    record.slot = slot;
    record.label = plan.label;
    record.role = plan.role;
    record.domain = plan.domain;
    record.kind = SlotKind::public_key;
    record.created = plan.created;
    record.signing_public = identity.signing_public;
    record.box_public = identity.box_public;
    record.issuer = plan.issuer;
    return record;
}

} // namespace

SlotRecord make_slot(const SlotId& slot, const SlotPlan& plan, const PublicIdentity& identity) {
    return begin_slot(slot, plan, identity);
}

SlotRecord make_slot(const SlotId& slot, const SlotPlan& plan, const Credential& credential,
                     const Secret& seed, Random& random) {
    if (credential.secret.empty())
        throw Error(ErrorCode::usage, "a passphrase or key is empty", "choose another");
    SlotRecord record = begin_slot(slot, plan, public_identity(seed));
    record.kind = credential.kind;
    if (credential.kind == SlotKind::public_key) return record;
    record.salt = random.id<16>();
    Secret wrapping_key;
    if (credential.kind == SlotKind::passphrase) {
        record.cost = plan.cost;
        wrapping_key = stretch_passphrase(as_text(credential.secret.view()), record.salt, record.cost);
    } else {
        wrapping_key = key_file_wrapping_key(credential.secret, record.salt);
    }
    record.wrapped = wrap_slot(slot, wrapping_key, {seed.copy(), plan.repository, plan.root});
    return record;
}

} // namespace holdfast
