#include "repository/envelope.h"

#include "base/error.h"
#include "base/random.h"
#include "crypto/aead.h"

#include <string>

namespace holdfast {

namespace {

constexpr std::size_t secret_bytes = 32;
constexpr std::size_t salt_bytes = 32;
constexpr std::size_t sealed_bytes = 32 + secret_bytes + aead_tag_bytes;

Bytes purpose_info(std::string_view text, Purpose purpose, ByteView rest = {}) {
    ByteWriter info;
    info.raw(as_bytes(text));
    info.u8(static_cast<std::uint8_t>(purpose));
    info.raw(rest);
    return std::move(info).take();
}

Secret derive_run_secret(ByteView purpose_secret, Purpose purpose, ByteView salt) {
    return hkdf_expand(purpose_secret, purpose_info("holdfast run secret", purpose, salt));
}

Key commitment(Purpose purpose, ByteView secret) {
    return derive_hash<32>(purpose == Purpose::content ? "holdfast content commitment 1"
                                                       : "holdfast structure commitment 1",
                           secret);
}

Secret draw_part(Purpose purpose, ByteView purpose_secret, Random& random, Bytes& part) {
    part.resize(salt_bytes);
    random.fill(part);
    return derive_run_secret(purpose_secret, purpose, part);
}

Secret draw_sealed_part(Purpose purpose, const PublicKey& recipient, Random& random, Bytes& part) {
    Secret secret(secret_bytes);
    random.fill(secret.mutable_view());
    part = seal_box(recipient, purpose_info("holdfast seal", purpose), secret.view(), random);
    return secret;
}

RunSecrets commit_to(RunSecrets run) {
    if (!run.content.empty())
        run.envelope.content_commitment = commitment(Purpose::content, run.content.view());
    run.envelope.structure_commitment = commitment(Purpose::structure, run.structure.view());
    return run;
}

std::size_t part_bytes(EnvelopeMode mode, Purpose purpose) {
    if (mode == EnvelopeMode::sealed) return sealed_bytes;
    return mode == EnvelopeMode::structure_only && purpose == Purpose::content ? 0 : salt_bytes;
}

const Bytes& part_of(const Envelope& envelope, Purpose purpose) {
    return purpose == Purpose::content ? envelope.content_part : envelope.structure_part;
}

} // namespace

RunId Envelope::run() const {
    return Hasher::derive("holdfast run 1")
        .update(content_commitment.view())
        .update(structure_commitment.view())
        .finish<16>();
}

void write_envelope(ByteWriter& out, const Envelope& envelope) {
    out.u8(static_cast<std::uint8_t>(envelope.mode));
    out.u32(envelope.epoch);
    out.fixed_bytes(envelope.content_commitment);
    out.fixed_bytes(envelope.structure_commitment);
    out.raw(envelope.content_part);
    out.raw(envelope.structure_part);
}

Envelope read_envelope(ByteReader& in, std::string_view what) {
    Envelope envelope;
    const std::uint8_t mode = in.u8();
    if (mode < 1 || mode > 3) {
        throw Error(ErrorCode::incompatible,
                    std::string(what) + " has an envelope of mode " + std::to_string(mode) +
                        ", which this version does not know",
                    "use a newer version of Holdfast; if there is none, the object is damaged");
    }
    envelope.mode = static_cast<EnvelopeMode>(mode);
    envelope.epoch = in.u32();
    if (envelope.epoch == 0) in.fail("epochs count from 1");
    envelope.content_commitment = in.fixed_bytes<32>();
    envelope.structure_commitment = in.fixed_bytes<32>();
    if (envelope.mode == EnvelopeMode::structure_only && envelope.content_commitment != Key{}) {
        in.fail("a run without content commits to a content secret");
    }
    const auto read_part = [&](Purpose purpose) {
        const ByteView part = in.raw(part_bytes(envelope.mode, purpose));
        return Bytes(part.begin(), part.end());
    };
    envelope.content_part = read_part(Purpose::content);
    envelope.structure_part = read_part(Purpose::structure);
    return envelope;
}

RunSecrets draw_symmetric_run(std::uint32_t epoch, ByteView structure_secret, ByteView content_secret,
                              Random& random) {
    RunSecrets run;
    run.envelope.mode = EnvelopeMode::symmetric;
    run.envelope.epoch = epoch;
    run.content = draw_part(Purpose::content, content_secret, random, run.envelope.content_part);
    run.structure = draw_part(Purpose::structure, structure_secret, random, run.envelope.structure_part);
    return commit_to(std::move(run));
}

RunSecrets draw_sealed_run(std::uint32_t epoch, const PublicKey& structure_public,
                           const PublicKey& content_public, Random& random) {
    RunSecrets run;
    run.envelope.mode = EnvelopeMode::sealed;
    run.envelope.epoch = epoch;
    run.content = draw_sealed_part(Purpose::content, content_public, random, run.envelope.content_part);
    run.structure =
        draw_sealed_part(Purpose::structure, structure_public, random, run.envelope.structure_part);
    return commit_to(std::move(run));
}

RunSecrets draw_structure_only_run(std::uint32_t epoch, ByteView structure_secret, Random& random) {
    RunSecrets run;
    run.envelope.mode = EnvelopeMode::structure_only;
    run.envelope.epoch = epoch;
    run.structure = draw_part(Purpose::structure, structure_secret, random, run.envelope.structure_part);
    return commit_to(std::move(run));
}

BoxKey purpose_key_pair(ByteView purpose_secret) {
    return BoxKey(hkdf_expand(purpose_secret, as_bytes("holdfast purpose key pair")));
}

bool matches_commitment(const Envelope& envelope, Purpose purpose, ByteView secret) {
    const Key& committed =
        purpose == Purpose::content ? envelope.content_commitment : envelope.structure_commitment;
    return equal_constant_time(commitment(purpose, secret).view(), committed.view());
}

Secret open_envelope(const Envelope& envelope, Purpose purpose, ByteView purpose_secret) {
    const std::string run = "run " + envelope.run().hex();
    const Bytes& part = part_of(envelope, purpose);
    if (part.empty()) {
        throw Error(
            ErrorCode::wrong_key, run + " has no content secret",
            "its writer held no content keys; what it copied keeps the keys of the runs it came from");
    }
    std::optional<Secret> secret;
    if (envelope.mode == EnvelopeMode::sealed) {
        secret = purpose_key_pair(purpose_secret).open(purpose_info("holdfast seal", purpose), part);
    } else {
        secret = derive_run_secret(purpose_secret, purpose, part);
    }
    if (!secret || secret->size() != secret_bytes || !matches_commitment(envelope, purpose, secret->view())) {
        throw Error(
            ErrorCode::wrong_key,
            "the secrets of " + run + " do not open with the keys of epoch " + std::to_string(envelope.epoch),
            "the object is damaged, or was written under other keys; check it with 'holdfast verify'");
    }
    return std::move(*secret);
}

} // namespace holdfast
