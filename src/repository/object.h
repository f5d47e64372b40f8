// The outer form of every object but a pack (docs/format.md, section 2): who wrote it, in which run,
// encrypted and signed.
//
// Order of checks on the way in: form, name, writer and role, signature, encryption. Nobody parses a body
// before all of them.
#pragma once

#include "base/bytes.h"
#include "base/secret.h"
#include "crypto/hash.h"
#include "crypto/sign.h"
#include "repository/envelope.h"
#include "repository/ids.h"

#include <optional>
#include <string>
#include <string_view>

namespace holdfast {

class KeyRing;
class RunContext;
class Trust;

enum class ObjectKind : std::uint8_t {
    config = 1,
    slot = 2,
    grant = 3,
    revocation = 4,
    index_segment = 5,
    intent = 6,
    commit = 7,
    fence = 8,
    checkpoint = 9,
    forget = 10,
    statement = 11,
    condemned = 12,
    verdict = 13,
    moved = 14,
    log_slice = 15,
    pack = 255, // has a form of its own; stands here for the question who may write what
};

// "commit", "index segment": for messages.
std::string_view to_string(ObjectKind kind);
// Whether the body of this kind is encrypted under the secrets of its run.
bool is_encrypted(ObjectKind kind);
// Whether it is encrypted in parts that can be read alone.
bool has_parts(ObjectKind kind);

constexpr std::uint8_t no_suite = 0;
constexpr std::uint8_t suite_1 = 1;

// The digest that a signature covers: H("holdfast object digest 1", every byte before the signature).
using ObjectDigest = FixedBytes<32>;

// The most bytes before a body: enough of an object to read its header.
constexpr std::size_t object_header_limit_bytes = 4 + 4 + 16 + 16 + envelope_limit_bytes + 8;

struct ObjectHeader {
    ObjectKind kind = ObjectKind::config;
    std::uint8_t suite = no_suite;
    SlotId writer;
    RunId run; // zero for what is written outside runs: config, slots, grants, revocations
    std::optional<Envelope> envelope;
    std::size_t body_offset = 0;
    std::uint64_t body_bytes = 0;
};

// Reads the header from the beginning of an object (at least object_header_limit_bytes, or all of it), and
// checks form and name: that an object of this kind may stand under `name`, and that its run and envelope
// agree with the name and each other. Throws Error(corrupt) or Error(incompatible). Proves nothing about who
// wrote it.
ObjectHeader read_object_header(std::string_view name, ByteView beginning);

// A whole object taken apart; views point into the bytes given.
struct ObjectForm {
    ObjectHeader header;
    ByteView body;        // as it stands: encrypted where is_encrypted
    ByteView before_body; // and `name` are what the encryption binds
    ObjectDigest digest;
    Signature signature;
};
// As read_object_header, and checks that the length is right.
ObjectForm read_object_form(std::string_view name, ByteView object);

// What a signature of section 2 is over; packs use it with their own digest.
Signature sign_digest(const SigningKey& key, std::string_view name, const ObjectDigest& digest);
[[nodiscard]] bool verify_digest(const PublicKey& key, std::string_view name, const ObjectDigest& digest,
                                 const Signature& signature);

// The key of an encrypted object, from the structure secret of its run.
Secret object_key(ByteView structure_secret, ObjectKind kind, std::string_view name);

// An object as it goes to the store. `seal_object` encrypts the body; each name can be sealed once per run,
// because the key and nonce follow from it: a second time with another body throws Error(internal), with the
// same one gives the same bytes. `sign_object` leaves the body as it is: for the kinds that are not
// encrypted. `sign_parts` is for index segments and slices of logs, whose body the caller encrypted in parts.
Bytes seal_object(ObjectKind kind, std::string_view name, ByteView body, RunContext& run);
Bytes sign_object(ObjectKind kind, std::string_view name, ByteView body, const RunContext& run);
Bytes sign_parts(ObjectKind kind, std::string_view name, ByteView body, const RunContext& run);
// What such an object of this run begins with, before a body of so many bytes: for signatures within the
// body.
Bytes bytes_before_body(ObjectKind kind, const RunContext& run, std::uint64_t body_bytes);
// For what is written outside runs.
Bytes sign_object(ObjectKind kind, std::string_view name, ByteView body, const SlotId& writer,
                  const SigningKey& key);

struct OpenedObject {
    ObjectKind kind = ObjectKind::config;
    SlotId writer;
    RunId run;
    std::optional<Envelope> envelope;
    ObjectDigest digest;
    Bytes body; // decrypted; as it stands where has_parts
};
// All checks in their order. Throws Error(corrupt, incompatible, access_denied for a writer who may not,
// wrong_key when the ring lacks the structure secret); the message names the object.
OpenedObject open_object(std::string_view name, ByteView object, const KeyRing& keys, const Trust& trust);
// The same without decrypting: for holders without keys, and for kinds that are not encrypted. The body is as
// it stands.
OpenedObject check_object(std::string_view name, ByteView object, const Trust& trust);

} // namespace holdfast
