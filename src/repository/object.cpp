#include "repository/object.h"

#include "base/error.h"
#include "crypto/aead.h"
#include "repository/key_ring.h"
#include "repository/object_digest.h"
#include "repository/run_context.h"
#include "repository/trust.h"

#include <array>

#include <fmt/format.h>

namespace holdfast {

namespace {

constexpr std::string_view magic = "HFOB";
constexpr std::uint8_t version = 1;
constexpr std::size_t signature_bytes = Signature::size();

struct KindRule {
    ObjectKind kind;
    std::string_view text;
    NameKind name;
    bool encrypted;
    enum class Run { none, that_of_the_name, another, any } run;
};

// Which name each kind stands under, and how its run relates to the run in the name.
constexpr std::array rules{
    KindRule{ObjectKind::config, "config", NameKind::config, false, KindRule::Run::none},
    KindRule{ObjectKind::slot, "key slot", NameKind::slot, false, KindRule::Run::none},
    KindRule{ObjectKind::grant, "grant", NameKind::grant, false, KindRule::Run::none},
    KindRule{ObjectKind::revocation, "revocation", NameKind::revocation, false, KindRule::Run::none},
    KindRule{ObjectKind::index_segment, "index segment", NameKind::index_segment, true,
             KindRule::Run::that_of_the_name},
    KindRule{ObjectKind::intent, "intent", NameKind::intent, false, KindRule::Run::that_of_the_name},
    KindRule{ObjectKind::commit, "commit", NameKind::commit, true, KindRule::Run::that_of_the_name},
    KindRule{ObjectKind::fence, "fence", NameKind::commit, false, KindRule::Run::another},
    KindRule{ObjectKind::checkpoint, "checkpoint", NameKind::checkpoint, true,
             KindRule::Run::that_of_the_name},
    KindRule{ObjectKind::forget, "forget", NameKind::forget, false, KindRule::Run::any},
    KindRule{ObjectKind::statement, "statement", NameKind::statement, true, KindRule::Run::any},
    KindRule{ObjectKind::condemned, "condemned list", NameKind::condemned, false,
             KindRule::Run::that_of_the_name},
    KindRule{ObjectKind::verdict, "verdict", NameKind::verdict, false, KindRule::Run::any},
    KindRule{ObjectKind::moved, "moved", NameKind::moved, false, KindRule::Run::any},
    KindRule{ObjectKind::log_slice, "slice of a log", NameKind::log_slice, true,
             KindRule::Run::that_of_the_name},
};

const KindRule* find_rule(ObjectKind kind) {
    for (const KindRule& rule : rules) {
        if (rule.kind == kind) return &rule;
    }
    return nullptr;
}

[[noreturn]] void fail(std::string_view name, std::string_view why) {
    throw Error(
        ErrorCode::corrupt, fmt::format("{} {}", name, why),
        "it was damaged or exchanged in the store; 'holdfast verify' finds what depends on it, and a copy of "
        "the repository may still have it intact");
}

[[noreturn]] void fail_unknown(std::string_view name, std::string_view what, unsigned value) {
    throw Error(ErrorCode::incompatible,
                fmt::format("{} has {} {}, which this version does not know", name, what, value),
                "use a newer version of Holdfast; if there is none, the object is damaged");
}

void check_name(std::string_view name, const ObjectHeader& header) {
    const KindRule& rule = *find_rule(header.kind);
    const auto parsed = parse_name(name);
    if (!parsed || parsed->kind != rule.name)
        fail(name, fmt::format("holds a {}, which belongs elsewhere", rule.text));
    const bool same_run = header.run == parsed->owner;
    const bool run_fits = rule.run == KindRule::Run::none               ? header.run == RunId{}
                          : rule.run == KindRule::Run::that_of_the_name ? same_run
                          : rule.run == KindRule::Run::another          ? !same_run && header.run != RunId{}
                                                                        : header.run != RunId{};
    if (!run_fits) fail(name, "names a run that cannot have written it");
    if (header.kind == ObjectKind::statement && header.writer != parsed->owner) {
        fail(name, "was written by another slot than its name says");
    }
    if (header.envelope && header.envelope->run() != header.run) fail(name, "has the keys of another run");
}

Bytes signature_message(std::string_view name, const ObjectDigest& digest) {
    ByteWriter message;
    message.raw(as_bytes("holdfast signature 1"));
    message.sized(name);
    message.fixed_bytes(digest);
    return std::move(message).take();
}

ObjectDigest digest_of(ByteView before_signature) {
    return digest_of_object(std::span(&before_signature, 1));
}

ByteWriter begin_object(ObjectKind kind, const SlotId& writer, const RunId& run, const Envelope* envelope,
                        std::uint64_t body_bytes) {
    ByteWriter out;
    out.raw(as_bytes(magic));
    out.u8(version);
    out.u8(static_cast<std::uint8_t>(kind));
    out.u8(envelope != nullptr ? suite_1 : no_suite);
    out.u8(0);
    out.fixed_bytes(writer);
    out.fixed_bytes(run);
    if (envelope != nullptr) write_envelope(out, *envelope);
    out.u64(body_bytes);
    return out;
}

Bytes finish_object(ByteWriter out, std::string_view name, const SigningKey& key) {
    const Signature signature = sign_digest(key, name, digest_of(out.bytes()));
    out.fixed_bytes(signature);
    return std::move(out).take();
}

Bytes associated_data(ByteView before_body, std::string_view name) {
    Bytes associated(before_body.begin(), before_body.end());
    associated.insert(associated.end(), name.begin(), name.end());
    return associated;
}

void require_kind(ObjectKind kind, std::string_view name, bool encrypted) {
    if (const KindRule* rule = find_rule(kind); rule == nullptr || rule->encrypted != encrypted) {
        throw Error(ErrorCode::internal, fmt::format("{} was to be written in the wrong form", name));
    }
}

OpenedObject opened(const ObjectForm& form) {
    OpenedObject object;
    object.kind = form.header.kind;
    object.writer = form.header.writer;
    object.run = form.header.run;
    object.envelope = form.header.envelope;
    object.digest = form.digest;
    return object;
}

} // namespace

std::string_view to_string(ObjectKind kind) {
    if (kind == ObjectKind::pack) return "pack";
    const KindRule* rule = find_rule(kind);
    return rule != nullptr ? rule->text : "object of unknown kind";
}

bool is_encrypted(ObjectKind kind) {
    const KindRule* rule = find_rule(kind);
    return kind == ObjectKind::pack || (rule != nullptr && rule->encrypted);
}

ObjectDigest digest_of_object(std::span<const ByteView> parts) {
    Hasher digest = Hasher::derive("holdfast object digest 1");
    for (const ByteView part : parts) digest.update(part);
    return digest.finish<32>();
}

bool has_parts(ObjectKind kind) { return kind == ObjectKind::index_segment || kind == ObjectKind::log_slice; }

ObjectHeader read_object_header(std::string_view name, ByteView beginning) {
    ByteReader in(beginning, name);
    if (as_text(in.raw(magic.size())) != magic) fail(name, "is not an object of a repository");
    if (const unsigned found = in.u8(); found != version) fail_unknown(name, "version", found);
    ObjectHeader header;
    const std::uint8_t kind = in.u8();
    header.kind = static_cast<ObjectKind>(kind);
    const KindRule* rule = find_rule(header.kind);
    if (rule == nullptr) fail_unknown(name, "kind", kind);
    header.suite = in.u8();
    if (header.suite > suite_1) fail_unknown(name, "cryptographic suite", header.suite);
    if ((header.suite != no_suite) != rule->encrypted) fail(name, "has a suite that does not fit its kind");
    if (const unsigned flags = in.u8(); flags != 0) fail_unknown(name, "flags", flags);
    header.writer = in.fixed_bytes<16>();
    header.run = in.fixed_bytes<16>();
    if (header.suite != no_suite) header.envelope = read_envelope(in, name);
    header.body_bytes = in.u64();
    header.body_offset = in.position();
    check_name(name, header);
    return header;
}

ObjectForm read_object_form(std::string_view name, ByteView object) {
    ObjectForm form;
    form.header = read_object_header(name, object);
    const std::size_t rest = object.size() - form.header.body_offset;
    if (rest < signature_bytes || rest - signature_bytes != form.header.body_bytes) {
        fail(name, "has not the length that it says");
    }
    const auto body_bytes = static_cast<std::size_t>(form.header.body_bytes);
    form.before_body = object.first(form.header.body_offset);
    form.body = object.subspan(form.header.body_offset, body_bytes);
    form.digest = digest_of(object.first(object.size() - signature_bytes));
    std::memcpy(form.signature.bytes.data(), object.last(signature_bytes).data(), signature_bytes);
    return form;
}

Signature sign_digest(const SigningKey& key, std::string_view name, const ObjectDigest& digest) {
    return key.sign(signature_message(name, digest));
}

bool verify_digest(const PublicKey& key, std::string_view name, const ObjectDigest& digest,
                   const Signature& signature) {
    return verify_signature(key, signature_message(name, digest), signature);
}

Secret object_key(ByteView structure_secret, ObjectKind kind, std::string_view name) {
    ByteWriter info;
    info.raw(as_bytes("holdfast object"));
    info.u8(static_cast<std::uint8_t>(kind));
    info.sized(name);
    return hkdf_expand(structure_secret, info.bytes());
}

Bytes seal_object(ObjectKind kind, std::string_view name, ByteView body, RunContext& run) {
    require_kind(kind, name, true);
    run.note_sealed(std::string(name), derive_hash<32>("holdfast sealed body 1", body));
    ByteWriter out =
        begin_object(kind, run.writer(), run.id(), &run.envelope(), body.size() + aead_tag_bytes);
    Aead aead(object_key(run.structure_secret().view(), kind, name).view());
    out.raw(aead.seal(0, associated_data(out.bytes(), name), body));
    return finish_object(std::move(out), name, run.signing_key());
}

Bytes sign_parts(ObjectKind kind, std::string_view name, ByteView body, const RunContext& run) {
    require_kind(kind, name, true);
    ByteWriter out = begin_object(kind, run.writer(), run.id(), &run.envelope(), body.size());
    out.raw(body);
    return finish_object(std::move(out), name, run.signing_key());
}

Bytes bytes_before_body(ObjectKind kind, const RunContext& run, std::uint64_t body_bytes) {
    return begin_object(kind, run.writer(), run.id(), &run.envelope(), body_bytes).take();
}

Bytes sign_object(ObjectKind kind, std::string_view name, ByteView body, const RunContext& run) {
    require_kind(kind, name, false);
    ByteWriter out = begin_object(kind, run.writer(), run.id(), nullptr, body.size());
    out.raw(body);
    return finish_object(std::move(out), name, run.signing_key());
}

Bytes sign_object(ObjectKind kind, std::string_view name, ByteView body, const SlotId& writer,
                  const SigningKey& key) {
    require_kind(kind, name, false);
    ByteWriter out = begin_object(kind, writer, RunId{}, nullptr, body.size());
    out.raw(body);
    return finish_object(std::move(out), name, key);
}

OpenedObject check_object(std::string_view name, ByteView object, const Trust& trust) {
    const ObjectForm form = read_object_form(name, object);
    trust.require(name, form);
    OpenedObject result = opened(form);
    result.body.assign(form.body.begin(), form.body.end());
    return result;
}

OpenedObject open_object(std::string_view name, ByteView object, const KeyRing& keys, const Trust& trust) {
    const ObjectForm form = read_object_form(name, object);
    trust.require(name, form);
    OpenedObject result = opened(form);
    if (form.header.suite == no_suite || has_parts(form.header.kind)) {
        result.body.assign(form.body.begin(), form.body.end());
        return result;
    }
    if (form.body.size() < aead_tag_bytes) fail(name, "is too short to be encrypted");
    const auto secret = in_context(name, [&] { return keys.structure_secret_for(*form.header.envelope); });
    Aead aead(object_key(secret->view(), form.header.kind, name).view());
    result.body.resize(form.body.size() - aead_tag_bytes);
    if (!aead.open(0, associated_data(form.before_body, name), form.body, result.body)) {
        fail(name, "does not decrypt: its bytes are not what its writer encrypted");
    }
    return result;
}

} // namespace holdfast
