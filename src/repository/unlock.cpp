#include "repository/unlock.h"

#include "base/error.h"

#include <algorithm>

#include <fmt/format.h>

namespace holdfast {

namespace {

// Each try of a passphrase costs a second and much memory; whoever can write to the store could add slots
// without end.
constexpr int passphrase_tries_limit = 64;

struct OpenedSlot {
    const SlotRecord* record = nullptr;
    UnwrappedSlot content;
};

[[noreturn]] void fail_other_repository(const Store& store) {
    throw Error(ErrorCode::access_denied,
                store.url() + " holds another repository than the one this key belongs to",
                "check the address; if it is right, somebody put another repository in its place: do not "
                "write to it, "
                "and use a copy");
}

std::optional<UnwrappedSlot> try_slot(const SlotRecord& record, const Credential& credential) {
    if (record.kind == SlotKind::passphrase) {
        return unwrap_slot(record,
                           stretch_passphrase(as_text(credential.secret.view()), record.salt, record.cost));
    }
    return unwrap_slot(record, key_file_wrapping_key(credential.secret, record.salt));
}

std::optional<OpenedSlot> open_by_private_key(const Trust& trust, const RepositoryConfig& config,
                                              const Credential& credential) {
    const PublicIdentity identity = public_identity(credential.secret);
    for (const SlotRecord* record : trust.active_slots()) {
        if (record->kind != SlotKind::public_key || record->signing_public != identity.signing_public)
            continue;
        return OpenedSlot{record, {credential.secret.copy(), config.repository, config.root}};
    }
    for (const Revocation* removed : trust.revocations()) {
        if (removed->signing_public != identity.signing_public) continue;
        throw Error(ErrorCode::access_denied,
                    fmt::format("this key was removed from the repository at {}", to_rfc3339(removed->time)),
                    "ask an administrator for a new key slot");
    }
    return std::nullopt;
}

std::optional<OpenedSlot> open_by_secret(const Trust& trust, const Credential& credential,
                                         const UnlockOptions& options) {
    int tries = 0;
    for (const SlotRecord* record : trust.active_slots()) {
        if (record->kind != credential.kind || (options.slot && record->slot != *options.slot)) continue;
        if (credential.kind == SlotKind::passphrase && ++tries > passphrase_tries_limit) break;
        if (auto content = try_slot(*record, credential)) return OpenedSlot{record, std::move(*content)};
    }
    return std::nullopt;
}

OpenedSlot open_slot(const Store& store, const Trust& trust, const RepositoryConfig& config,
                     const Credential& credential, const UnlockOptions& options) {
    auto opened = credential.kind == SlotKind::public_key ? open_by_private_key(trust, config, credential)
                                                          : open_by_secret(trust, credential, options);
    if (opened) return std::move(*opened);
    throw Error(
        ErrorCode::wrong_key,
        fmt::format("no key slot of {} opens with this {}", store.url(),
                    credential.kind == SlotKind::passphrase ? "passphrase"
                    : credential.kind == SlotKind::key_file ? "key file"
                                                            : "private key"),
        trust.ignored().empty()
            ? "check that it is the right one; it may also have been removed"
            : fmt::format(
                  "check that it is the right one; {} of {} key objects in the store do not count, the "
                  "first because {}",
                  trust.ignored().size(), trust.ignored().size() + trust.active_slots().size(),
                  trust.ignored().front().reason));
}

Grant read_grant(const StoredGrant& stored, const BoxKey& key, const RepositoryConfig& config, Role role,
                 const std::string& domain) {
    Grant grant = open_grant(stored.name, stored.body, key);
    if (grant.repository != config.repository || grant.root != config.root || grant.role != role ||
        grant.domain != domain || grant.newest_epoch != stored.number) {
        throw Error(ErrorCode::corrupt, stored.name + " does not fit its key slot",
                    "ask an administrator to run 'holdfast key rotate'");
    }
    return grant;
}

Grant load_grant(Store& store, const Trust& trust, const RepositoryConfig& config, const OpenedSlot& slot,
                 const UnlockOptions& options) {
    const auto stored = newest_grant(store, trust, slot.record->slot, options.call);
    if (!stored) {
        throw Error(ErrorCode::wrong_key,
                    fmt::format("key slot {} ({}) has no grant", slot.record->slot.hex(), slot.record->label),
                    "ask an administrator to run 'holdfast key rotate', which gives it one");
    }
    Grant grant =
        read_grant(*stored, slot_box_key(slot.content.seed), config, slot.record->role, slot.record->domain);
    if (grant.newest_epoch < options.least_epoch) {
        throw Error(
            ErrorCode::access_denied,
            fmt::format("the newest grant of this key slot is of epoch {}, but epoch {} was seen before",
                        grant.newest_epoch, options.least_epoch),
            "the store shows an older state than it did: do not write to it before you know why");
    }
    return grant;
}

} // namespace

std::optional<StoredGrant> newest_grant(Store& store, const Trust& trust, const SlotId& slot,
                                        const CallOptions& options) {
    std::vector<ObjectName> names;
    for (const ObjectInfo& object : store.list_all(std::string(grants_prefix) + slot.hex() + "-", options)) {
        const auto name = parse_name(object.name);
        if (name && name->kind == NameKind::grant && name->number != 0) names.push_back(*name);
    }
    std::ranges::sort(names, std::greater<>{}, &ObjectName::number);
    for (const ObjectName& parsed : names) {
        const std::string name = object_name(parsed);
        const auto bytes = store.get(name, {}, options);
        if (!bytes) continue;
        try {
            return StoredGrant{name, parsed.number, check_object(name, *bytes, trust).body};
        } catch (const Error&) {
            // Anybody who can write to the store can put junk under a high number; it must not hide what
            // counts.
        }
    }
    return std::nullopt;
}

Unlocked unlock(Store& store, const Credential& credential, const UnlockOptions& options) {
    RepositoryConfig config = load_config(store, options.call);
    for (const auto& root : {options.root, credential.root}) {
        if (root && *root != config.root) fail_other_repository(store);
    }
    if (options.repository && *options.repository != config.repository) fail_other_repository(store);
    Trust trust = Trust::load(store, config, options.call);
    const OpenedSlot slot = open_slot(store, trust, config, credential, options);
    if (slot.content.repository != config.repository || slot.content.root != config.root)
        fail_other_repository(store);
    if (public_identity(slot.content.seed).signing_public != slot.record->signing_public) {
        throw Error(ErrorCode::corrupt,
                    "key slot " + slot.record->slot.hex() + " names a key that is not its holder's",
                    "ask an administrator to remove it and add a new one");
    }
    Grant grant = load_grant(store, trust, config, slot, options);
    KeyRing ring(slot.record->slot, slot.content.seed, std::move(grant), options.cache);
    return Unlocked{std::move(config), std::move(trust), std::move(ring)};
}

void refresh(Store& store, Unlocked& unlocked, const CallOptions& options) {
    KeyRing& ring = unlocked.ring;
    unlocked.trust = Trust::load(store, unlocked.config, options);
    if (const Revocation* removed = unlocked.trust.revocation(ring.slot())) {
        throw Error(ErrorCode::access_denied,
                    fmt::format("the key slot in use was removed from the repository at {}",
                                to_rfc3339(removed->time)),
                    "use another key slot");
    }
    const auto stored = newest_grant(store, unlocked.trust, ring.slot(), options);
    if (!stored || stored->number <= ring.newest_epoch()) return;
    ring.replace_grant(read_grant(*stored, ring.box_key(), unlocked.config, ring.role(), ring.domain()));
}

} // namespace holdfast
