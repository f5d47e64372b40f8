#include "repository/grant.h"

#include "base/error.h"
#include "crypto/hash.h"

#include <algorithm>

namespace holdfast {

namespace {

constexpr std::size_t secret_bytes = 32;
constexpr std::uint8_t grant_version = 1;
constexpr std::size_t domain_limit_bytes = 64;
constexpr std::uint64_t epochs_limit = 100'000;

// Builds a text of secrets in locked memory, which a growing vector would leave copies of. The size is known
// before.
class SecretWriter {
  public:
    explicit SecretWriter(std::size_t size) : out_(size) {}

    void raw(ByteView bytes) {
        if (bytes.size() > out_.size() - position_)
            throw Error(ErrorCode::internal, "a grant outgrew its size");
        std::copy(bytes.begin(), bytes.end(),
                  out_.mutable_view().begin() + static_cast<std::ptrdiff_t>(position_));
        position_ += bytes.size();
    }
    void u8(std::uint8_t value) { raw({&value, 1}); }
    void u32(std::uint32_t value) {
        for (unsigned shift = 0; shift < 32; shift += 8) u8(static_cast<std::uint8_t>(value >> shift));
    }
    ByteView written() const { return out_.view().first(position_); }

  private:
    Secret out_;
    std::size_t position_ = 0;
};

std::size_t encoded_limit(const Grant& grant) {
    return 1024 + (grant.structure.size() + grant.content.size()) * (4 + secret_bytes);
}

void write_secrets(SecretWriter& out, const EpochSecrets& secrets) {
    out.u32(static_cast<std::uint32_t>(secrets.size()));
    for (const auto& [epoch, secret] : secrets) {
        out.u32(epoch);
        out.raw(secret.view());
    }
}

EpochSecrets read_secrets(ByteReader& in, std::uint32_t newest_epoch) {
    EpochSecrets secrets;
    const std::uint32_t count = in.u32();
    if (count > epochs_limit) in.fail("it has too many epochs");
    std::uint32_t last = 0;
    for (std::uint32_t i = 0; i < count; ++i) {
        const std::uint32_t epoch = in.u32();
        if (epoch <= last || epoch > newest_epoch) in.fail("its epochs are out of order");
        secrets.emplace(epoch, Secret::copy_of(in.raw(secret_bytes)));
        last = epoch;
    }
    return secrets;
}

EpochSecrets copy_secrets(const EpochSecrets& secrets) {
    EpochSecrets copies;
    for (const auto& [epoch, secret] : secrets) copies.emplace(epoch, secret.copy());
    return copies;
}

Bytes seal_info(std::string_view name) {
    ByteWriter info;
    info.raw(as_bytes("holdfast grant"));
    info.sized(name);
    return std::move(info).take();
}

bool has_newest(const EpochSecrets& secrets, std::uint32_t newest) { return secrets.contains(newest); }

// A grant that gives more or less than its role's row in the table is not believed.
bool fits_role(const Grant& grant) {
    const bool structure = has_newest(grant.structure, grant.newest_epoch);
    const bool content = has_newest(grant.content, grant.newest_epoch);
    switch (grant.role) {
    case Role::full:
    case Role::read:
        return grant.identity_scope == IdentityScope::master && structure && content && !grant.public_keys;
    case Role::write:
        return grant.identity_scope == IdentityScope::domain && grant.structure.empty() &&
               grant.content.empty() && grant.public_keys;
    case Role::prune:
        return grant.identity_scope == IdentityScope::none && structure && grant.content.empty() &&
               !grant.public_keys;
    }
    return false;
}

Grant decode(std::string_view name, ByteView plain) {
    ByteReader in(plain, name);
    if (const std::uint8_t version = in.u8(); version != grant_version) {
        throw Error(ErrorCode::incompatible,
                    std::string(name) + " has a version that this program does not know",
                    "use a newer version of Holdfast");
    }
    Grant grant;
    grant.repository = in.fixed_bytes<16>();
    grant.root = in.fixed_bytes<32>();
    const std::uint8_t role = in.u8();
    if (role < 1 || role > 4) in.fail("its role is unknown");
    grant.role = static_cast<Role>(role);
    grant.domain = in.sized_text(domain_limit_bytes);
    grant.newest_epoch = in.u32();
    if (grant.newest_epoch == 0) in.fail("epochs count from 1");
    const std::uint8_t scope = in.u8();
    if (scope > 2) in.fail("its identity key is of an unknown kind");
    grant.identity_scope = static_cast<IdentityScope>(scope);
    if (grant.identity_scope != IdentityScope::none) grant.identity = Secret::copy_of(in.raw(secret_bytes));
    grant.structure = read_secrets(in, grant.newest_epoch);
    grant.content = read_secrets(in, grant.newest_epoch);
    const std::uint8_t has_public_keys = in.u8();
    if (has_public_keys > 1) in.fail("its public keys are of an unknown kind");
    if (has_public_keys == 1) grant.public_keys = {in.fixed_bytes<32>(), in.fixed_bytes<32>()};
    in.expect_end();
    if (!fits_role(grant)) in.fail("it does not have exactly the keys of its role");
    return grant;
}

} // namespace

Grant Grant::copy() const {
    Grant out;
    out.repository = repository;
    out.root = root;
    out.role = role;
    out.domain = domain;
    out.newest_epoch = newest_epoch;
    out.identity_scope = identity_scope;
    if (!identity.empty()) out.identity = identity.copy();
    out.structure = copy_secrets(structure);
    out.content = copy_secrets(content);
    out.public_keys = public_keys;
    return out;
}

Secret domain_identity_key(ByteView master, std::string_view domain) {
    ByteWriter info;
    info.raw(as_bytes("holdfast domain"));
    info.raw(as_bytes(domain));
    return hkdf_expand(master, info.bytes());
}

Grant cut_grant(const Grant& full, Role role, std::string_view domain) {
    if (full.role != Role::full)
        throw Error(ErrorCode::internal, "keys were to be granted by a slot that has not all");
    Grant grant = full.copy();
    grant.role = role;
    grant.domain = domain;
    if (role == Role::write) {
        grant.identity_scope = IdentityScope::domain;
        grant.identity = domain_identity_key(full.identity.view(), domain);
        grant.public_keys = {purpose_key_pair(full.structure.at(full.newest_epoch).view()).public_key(),
                             purpose_key_pair(full.content.at(full.newest_epoch).view()).public_key()};
        grant.structure.clear();
    }
    if (role == Role::prune) {
        grant.identity_scope = IdentityScope::none;
        grant.identity = Secret();
    }
    if (role == Role::write || role == Role::prune) grant.content.clear();
    return grant;
}

Bytes seal_grant(const Grant& grant, std::string_view name, const PublicKey& recipient, Random& random) {
    SecretWriter plain(encoded_limit(grant));
    plain.u8(grant_version);
    plain.raw(grant.repository.bytes);
    plain.raw(grant.root.bytes);
    plain.u8(static_cast<std::uint8_t>(grant.role));
    ByteWriter domain;
    domain.sized(grant.domain);
    plain.raw(domain.bytes());
    plain.u32(grant.newest_epoch);
    plain.u8(static_cast<std::uint8_t>(grant.identity_scope));
    plain.raw(grant.identity.view());
    write_secrets(plain, grant.structure);
    write_secrets(plain, grant.content);
    plain.u8(grant.public_keys ? 1 : 0);
    if (grant.public_keys) {
        plain.raw(grant.public_keys->structure.bytes);
        plain.raw(grant.public_keys->content.bytes);
    }
    ByteWriter body;
    body.u8(suite_1);
    body.raw(seal_box(recipient, seal_info(name), plain.written(), random));
    return std::move(body).take();
}

Grant open_grant(std::string_view name, ByteView body, const BoxKey& key) {
    ByteReader in(body, name);
    if (in.u8() != suite_1) {
        throw Error(ErrorCode::incompatible,
                    std::string(name) + " uses a cryptographic suite that this version does not know",
                    "use a newer version of Holdfast");
    }
    const auto plain = key.open(seal_info(name), in.raw(in.remaining()));
    if (!plain) {
        throw Error(ErrorCode::wrong_key, std::string(name) + " was not sealed to this key slot",
                    "ask an administrator to run 'holdfast key rotate'");
    }
    return decode(name, plain->view());
}

} // namespace holdfast
