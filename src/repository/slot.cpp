#include "repository/slot.h"

#include "base/error.h"
#include "crypto/aead.h"
#include "crypto/hash.h"
#include "repository/json_form.h"

#include <algorithm>

namespace holdfast {

namespace {

constexpr std::size_t seed_bytes = 32;
constexpr std::size_t unwrapped_bytes = seed_bytes + RepositoryId::size() + PublicKey::size();
constexpr std::size_t slot_limit_bytes = 16 * 1024;
constexpr std::size_t label_limit_bytes = 128;
constexpr std::size_t domain_limit_bytes = 64;

Bytes wrap_associated_data(const SlotId& slot) {
    ByteWriter associated;
    associated.raw(as_bytes("holdfast slot"));
    associated.fixed_bytes(slot);
    return std::move(associated).take();
}

bool label_is_valid(std::string_view label) {
    return !label.empty() && label.size() <= label_limit_bytes && std::ranges::none_of(label, [](char c) {
        return static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
    });
}

bool domain_is_valid(std::string_view domain) {
    return !domain.empty() && domain.size() <= domain_limit_bytes &&
           domain.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-") ==
               std::string_view::npos;
}

void read_wrapping(const JsonReader& json, SlotRecord& record) {
    if (record.kind == SlotKind::public_key) return;
    if (record.kind == SlotKind::passphrase) {
        const JsonReader argon = json.object("argon2id");
        record.cost.memory_kib = static_cast<std::uint32_t>(argon.number("memory_kib", UINT32_MAX));
        record.cost.passes = static_cast<std::uint32_t>(argon.number("passes", UINT32_MAX));
        record.salt = argon.id<16>("salt");
    } else {
        record.salt = json.id<16>("salt");
    }
    record.wrapped = json.hex("wrapped", unwrapped_bytes + aead_tag_bytes);
    if (record.wrapped.size() != unwrapped_bytes + aead_tag_bytes) json.fail("wrapped", "is too short");
}

} // namespace

std::string_view to_string(Role role) {
    switch (role) {
    case Role::full:
        return "full";
    case Role::read:
        return "read";
    case Role::write:
        return "write";
    case Role::prune:
        return "prune";
    }
    return "unknown";
}

std::string_view to_string(SlotKind kind) {
    switch (kind) {
    case SlotKind::passphrase:
        return "passphrase";
    case SlotKind::key_file:
        return "key-file";
    case SlotKind::public_key:
        return "public-key";
    }
    return "unknown";
}

std::optional<Role> role_from(std::string_view word) {
    for (const Role role : {Role::full, Role::read, Role::write, Role::prune}) {
        if (word == to_string(role)) return role;
    }
    return std::nullopt;
}

std::optional<SlotKind> slot_kind_from(std::string_view word) {
    for (const SlotKind kind : {SlotKind::passphrase, SlotKind::key_file, SlotKind::public_key}) {
        if (word == to_string(kind)) return kind;
    }
    return std::nullopt;
}

bool role_may_write(Role role, ObjectKind kind) {
    const auto one_of = [kind](std::initializer_list<ObjectKind> kinds) {
        return std::ranges::find(kinds, kind) != kinds.end();
    };
    using enum ObjectKind;
    switch (role) {
    case Role::full:
        return true;
    case Role::read:
        return kind == statement;
    case Role::write:
        return one_of({pack, index_segment, intent, commit, checkpoint, log_slice});
    case Role::prune:
        return one_of({pack, index_segment, intent, fence, forget, statement, condemned, verdict, moved});
    }
    return false;
}

void check_label(std::string_view label) {
    if (label_is_valid(label)) return;
    throw Error(ErrorCode::usage, "a label is empty, too long or has control characters",
                "give the key slot a name of 1 to 128 bytes, for example the host it is for");
}

void check_domain(std::string_view domain) {
    if (domain_is_valid(domain)) return;
    throw Error(ErrorCode::usage,
                "\"" + std::string(domain.substr(0, domain_limit_bytes)) + "\" is no name of a domain",
                "use 1 to 64 letters, digits, dots, underscores and hyphens");
}

Bytes write_slot(const SlotRecord& record) {
    JsonWriter json;
    json.number("suite", suite_1)
        .hex("slot", record.slot.view())
        .text("label", record.label)
        .text("role", to_string(record.role))
        .text("domain", record.domain)
        .text("kind", to_string(record.kind))
        .time("created", record.created)
        .hex("signing_public", record.signing_public.view())
        .hex("box_public", record.box_public.view())
        .hex("issuer", record.issuer.view());
    if (record.kind == SlotKind::passphrase) {
        JsonWriter argon;
        argon.number("memory_kib", record.cost.memory_kib)
            .number("passes", record.cost.passes)
            .hex("salt", record.salt.view());
        json.object("argon2id", argon);
    }
    if (record.kind == SlotKind::key_file) json.hex("salt", record.salt.view());
    if (record.kind != SlotKind::public_key) json.hex("wrapped", record.wrapped);
    return json.finish();
}

SlotRecord read_slot(std::string_view name, ByteView body) {
    const JsonReader json = JsonReader::parse(body, std::string(name), slot_limit_bytes);
    if (json.number("suite", UINT32_MAX) != suite_1) {
        throw Error(ErrorCode::incompatible,
                    std::string(name) + " uses a cryptographic suite that this version does not know",
                    "use a newer version of Holdfast");
    }
    SlotRecord record;
    record.slot = json.id<16>("slot");
    if (slot_name(record.slot) != name) json.fail("slot", "is not the one that the name says");
    record.label = json.text("label", label_limit_bytes);
    if (!label_is_valid(record.label)) json.fail("label", "is empty or has control characters");
    const auto role = role_from(json.text("role", 16));
    if (!role) json.fail("role", "is none that this version knows");
    record.role = *role;
    record.domain = json.text("domain", domain_limit_bytes);
    if (!domain_is_valid(record.domain)) json.fail("domain", "is no name of a domain");
    const auto kind = slot_kind_from(json.text("kind", 16));
    if (!kind) json.fail("kind", "is none that this version knows");
    record.kind = *kind;
    record.created = json.time("created");
    record.signing_public = json.id<32>("signing_public");
    record.box_public = json.id<32>("box_public");
    record.issuer = json.id<16>("issuer");
    read_wrapping(json, record);
    return record;
}

SigningKey slot_signing_key(const Secret& seed) {
    return SigningKey(hkdf_expand(seed.view(), as_bytes("holdfast signing key")));
}

BoxKey slot_box_key(const Secret& seed) {
    return BoxKey(hkdf_expand(seed.view(), as_bytes("holdfast box key")));
}

Bytes wrap_slot(const SlotId& slot, const Secret& wrapping_key, const UnwrappedSlot& content) {
    Secret plain(unwrapped_bytes);
    Byte* out = plain.mutable_view().data();
    std::memcpy(out, content.seed.view().data(), seed_bytes);
    std::memcpy(out + seed_bytes, content.repository.bytes.data(), RepositoryId::size());
    std::memcpy(out + seed_bytes + RepositoryId::size(), content.root.bytes.data(), PublicKey::size());
    return Aead(wrapping_key.view()).seal(0, wrap_associated_data(slot), plain.view());
}

std::optional<UnwrappedSlot> unwrap_slot(const SlotRecord& record, const Secret& wrapping_key) {
    if (record.wrapped.size() != unwrapped_bytes + aead_tag_bytes) return std::nullopt;
    Secret plain(unwrapped_bytes);
    if (!Aead(wrapping_key.view())
             .open(0, wrap_associated_data(record.slot), record.wrapped, plain.mutable_view())) {
        return std::nullopt;
    }
    ByteReader in(plain.view(), "key slot");
    UnwrappedSlot content;
    content.seed = Secret::copy_of(in.raw(seed_bytes));
    content.repository = in.fixed_bytes<16>();
    content.root = in.fixed_bytes<32>();
    return content;
}

Secret key_file_wrapping_key(const Secret& key_file, const FixedBytes<16>& salt) {
    return hkdf(salt.view(), key_file.view(), as_bytes("holdfast key file"));
}

} // namespace holdfast
