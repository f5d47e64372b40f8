#include "repository/trust.h"

#include "base/error.h"
#include "repository/trust_builder.h"

#include <fmt/format.h>

namespace holdfast {

namespace {

// More than any sane repository has; a bound on what a hostile store makes us read.
constexpr std::size_t slots_limit = 100'000;
constexpr std::uint64_t object_limit_bytes = 256ULL * 1024 * 1024;

void load_folder(Store& store, std::string_view prefix, TrustBuilder& builder, const CallOptions& options) {
    std::vector<ObjectInfo> objects;
    store.list(
        std::string(prefix), "",
        [&](const ObjectInfo& object) {
            objects.push_back(object);
            return objects.size() < slots_limit;
        },
        options);
    for (const ObjectInfo& object : objects) {
        if (!parse_name(object.name) || object.size_bytes > object_limit_bytes) {
            builder.ignore(object.name, "it is no object of a repository");
            continue;
        }
        // One that went between listing and reading was removed: it no longer counts either.
        if (const auto bytes = store.get(object.name, {}, options))
            builder.add(object.name, object.modified, *bytes);
    }
}

[[noreturn]] void deny(const Claim& claim, std::string_view why, std::string_view hint) {
    throw Error(ErrorCode::access_denied,
                fmt::format("{} does not count: key slot {}, which signed it, {}", claim.name,
                            claim.writer.hex(), why),
                std::string(hint));
}

// Of kinds that are of one domain, as their names say: theirs. One whose name says nothing is of none.
std::optional<DomainId> domain_of_object(const Claim& claim) {
    if (claim.kind != ObjectKind::index_segment && claim.kind != ObjectKind::log_slice) return std::nullopt;
    const auto name = parse_name(claim.name);
    if (!name) return DomainId{};
    return claim.kind == ObjectKind::index_segment ? name->domain : domain_of(name->archive);
}

} // namespace

Trust Trust::load(Store& store, const RepositoryConfig& config, const CallOptions& options) {
    TrustBuilder builder(config);
    load_folder(store, slots_prefix, builder, options);
    load_folder(store, revocations_prefix, builder, options);
    Trust trust = std::move(builder).build();
    const Revocation* root = trust.revocation(config.root_slot);
    if (root != nullptr && !root->counts(ObjectKind::config, config_name, RunId{}, config.digest)) {
        throw Error(
            ErrorCode::access_denied, "config was exchanged after the slot that wrote it was removed",
            "somebody who may write to the store did that; take config from a copy of the repository");
    }
    return trust;
}

std::optional<Trust::Signer> Trust::find_signer(const SlotId& slot) const {
    if (const SlotRecord* record = active(slot)) {
        return Signer{record->role, record->domain, &record->signing_public, nullptr};
    }
    if (const Revocation* removed = revocation(slot)) {
        return Signer{removed->role, removed->domain, &removed->signing_public, removed};
    }
    // The root's object may be lost; its key is known all the same.
    if (slot == root_slot_) return Signer{Role::full, {}, &root_, nullptr};
    return std::nullopt;
}

void Trust::require(const Claim& claim) const {
    const auto signer = find_signer(claim.writer);
    if (!signer) {
        deny(claim, "is not enrolled in this repository",
             "if it should be, its key slot is missing in the store; otherwise somebody else wrote the "
             "object");
    }
    if (!role_may_write(signer->role, claim.kind) ||
        (claim.kind == ObjectKind::config && claim.writer != root_slot_)) {
        deny(claim,
             fmt::format("has the role {}, which may not write a {}", to_string(signer->role),
                         to_string(claim.kind)),
             "its holder overstepped; find out why, and remove the slot with 'holdfast key remove' if in "
             "doubt");
    }
    if (signer->role == Role::write) {
        const std::optional<DomainId> domain = domain_of_object(claim);
        if (domain && *domain != domain_id(signer->domain)) {
            deny(claim, "may write in the domain " + std::string(signer->domain) + " only",
                 "the object can be deleted");
        }
    }
    if (signer->revocation != nullptr &&
        !signer->revocation->counts(claim.kind, claim.name, claim.run, claim.digest)) {
        deny(claim, "was removed, and this was not left to count",
             "what was written after the removal cannot be trusted; 'holdfast key list' says when that was");
    }
    if (!verify_digest(*signer->key, claim.name, claim.digest, claim.signature)) {
        throw Error(
            ErrorCode::corrupt, std::string(claim.name) + " has a signature that is not its writer's",
            "it was damaged or exchanged in the store; a copy of the repository may still have it intact");
    }
}

void Trust::require(std::string_view name, const ObjectForm& form) const {
    require(Claim{name, form.header.kind, form.header.writer, form.header.run, form.digest, form.signature});
}

bool Trust::may_write(const SlotId& slot, ObjectKind kind, const RunId& run) const {
    const auto signer = find_signer(slot);
    if (!signer || !role_may_write(signer->role, kind)) return false;
    return signer->revocation == nullptr || (counts_by_run(kind) && signer->revocation->runs.contains(run));
}

bool Trust::may_speak_of(const SlotId& slot, std::string_view domain) const {
    const auto signer = find_signer(slot);
    return signer && (signer->role != Role::write || signer->domain == domain);
}

std::optional<std::string> Trust::domain_named(const DomainId& domain) const {
    for (const auto& [slot, record] : active_) {
        if (domain_id(record.domain) == domain) return record.domain;
    }
    for (const auto& [slot, revocation] : revoked_) {
        if (domain_id(revocation.domain) == domain) return revocation.domain;
    }
    return std::nullopt;
}

const SlotRecord* Trust::active(const SlotId& slot) const {
    const auto found = active_.find(slot);
    return found != active_.end() ? &found->second : nullptr;
}

std::vector<const SlotRecord*> Trust::active_slots() const {
    std::vector<const SlotRecord*> slots;
    for (const auto& [slot, record] : active_) slots.push_back(&record);
    return slots;
}

const Revocation* Trust::revocation(const SlotId& slot) const {
    const auto found = revoked_.find(slot);
    return found != revoked_.end() ? &found->second : nullptr;
}

std::vector<const Revocation*> Trust::revocations() const {
    std::vector<const Revocation*> all;
    for (const auto& [slot, revocation] : revoked_) all.push_back(&revocation);
    return all;
}

} // namespace holdfast
