// The envelope of a run: its two secrets, encrypted to those who may have them (docs/format.md, section 3).
#pragma once

#include "base/bytes.h"
#include "base/secret.h"
#include "crypto/hash.h"
#include "crypto/sign.h"
#include "repository/ids.h"

namespace holdfast {

class Random;

enum class Purpose : std::uint8_t { identity = 1, structure = 2, content = 3, signing = 4 };

enum class EnvelopeMode : std::uint8_t {
    symmetric = 1,      // by a holder of both purpose secrets
    sealed = 2,         // by a holder of public keys alone
    structure_only = 3, // by a holder without content keys: the run has no content secret
};

// The largest envelope, in bytes.
constexpr std::size_t envelope_limit_bytes = 1 + 4 + 32 + 32 + 2 * (32 + 48);

struct Envelope {
    EnvelopeMode mode = EnvelopeMode::symmetric;
    std::uint32_t epoch = 0;
    Key content_commitment; // zero in structure_only
    Key structure_commitment;
    Bytes content_part;
    Bytes structure_part;

    bool operator==(const Envelope&) const = default;
    // The id of the only run that this envelope can belong to.
    RunId run() const;
};

void write_envelope(ByteWriter& out, const Envelope& envelope);
// Throws Error(corrupt), or Error(incompatible) for an unknown mode.
Envelope read_envelope(ByteReader& in, std::string_view what);

// What a writer draws at the start of a run. `content` is empty in a structure-only run.
struct RunSecrets {
    Secret content;
    Secret structure;
    Envelope envelope;
};

// The secrets of an epoch; each has 32 bytes.
RunSecrets draw_symmetric_run(std::uint32_t epoch, ByteView structure_secret, ByteView content_secret,
                              Random& random);
RunSecrets draw_sealed_run(std::uint32_t epoch, const PublicKey& structure_public,
                           const PublicKey& content_public, Random& random);
RunSecrets draw_structure_only_run(std::uint32_t epoch, ByteView structure_secret, Random& random);

// The key pair to which sealed runs are encrypted, from the purpose secret of an epoch.
BoxKey purpose_key_pair(ByteView purpose_secret);

// The run's secret for `purpose` (structure or content), by the purpose secret of the envelope's epoch.
// Throws Error(wrong_key) when it is not what the envelope commits to, or the run has no such secret.
Secret open_envelope(const Envelope& envelope, Purpose purpose, ByteView purpose_secret);

// Whether `secret` is the one that the envelope commits to.
[[nodiscard]] bool matches_commitment(const Envelope& envelope, Purpose purpose, ByteView secret);

} // namespace holdfast
