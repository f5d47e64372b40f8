// A key slot: how its holder proves himself, his public keys, his role (docs/format.md, section 4).
#pragma once

#include "base/clock.h"
#include "base/secret.h"
#include "crypto/passphrase.h"
#include "crypto/sign.h"
#include "repository/ids.h"
#include "repository/object.h"

#include <optional>
#include <string>
#include <string_view>

namespace holdfast {

enum class Role : std::uint8_t { full = 1, read = 2, write = 3, prune = 4 };
enum class SlotKind : std::uint8_t { passphrase = 1, key_file = 2, public_key = 3 };

std::string_view to_string(Role role);
std::string_view to_string(SlotKind kind);
// Nothing for another word.
std::optional<Role> role_from(std::string_view word);
std::optional<SlotKind> slot_kind_from(std::string_view word);

// Whether a slot of this role may write this kind of object at all.
bool role_may_write(Role role, ObjectKind kind);

// What everybody can see of a slot.
struct SlotRecord {
    SlotId slot;
    std::string label;
    Role role = Role::read;
    std::string domain;
    SlotKind kind = SlotKind::key_file;
    Timestamp created{};
    PublicKey signing_public;
    PublicKey box_public;
    SlotId issuer;
    Argon2Cost cost;     // passphrase
    FixedBytes<16> salt; // passphrase, key_file
    Bytes wrapped;       // passphrase, key_file
};

// Throws Error(usage) for labels and domains that cannot be: labels are 1 to 128 bytes of UTF-8 without
// control characters, domains 1 to 64 of [A-Za-z0-9._-].
void check_label(std::string_view label);
void check_domain(std::string_view domain);

Bytes write_slot(const SlotRecord& record);
// Throws Error(corrupt) or Error(incompatible). `name` is the object's, for messages and to compare.
SlotRecord read_slot(std::string_view name, ByteView body);

// The keys of a slot, from its seed of 32 bytes.
SigningKey slot_signing_key(const Secret& seed);
BoxKey slot_box_key(const Secret& seed);

// What only the holder can unwrap. The repository and its root are inside, so that who can write to the store
// but does not know the passphrase cannot put another repository in place of this one.
struct UnwrappedSlot {
    Secret seed;
    RepositoryId repository;
    PublicKey root;
};
// `wrapping_key` is Argon2id of the passphrase, or key_file_wrapping_key.
Bytes wrap_slot(const SlotId& slot, const Secret& wrapping_key, const UnwrappedSlot& content);
// Nothing when the key does not fit.
std::optional<UnwrappedSlot> unwrap_slot(const SlotRecord& record, const Secret& wrapping_key);
Secret key_file_wrapping_key(const Secret& key_file, const FixedBytes<16>& salt);

} // namespace holdfast
