#include "repository/envelope.h"
#include "support/repository_fixture.h"

#include <gtest/gtest.h>

namespace holdfast {
namespace {

const Secret structure_key = filled_secret(1);
const Secret content_key = filled_secret(2);

Bytes written(const Envelope& envelope) {
    ByteWriter out;
    write_envelope(out, envelope);
    return std::move(out).take();
}

RunSecrets sealed_run() {
    return draw_sealed_run(3, purpose_key_pair(structure_key.view()).public_key(),
                           purpose_key_pair(content_key.view()).public_key(), system_random());
}

TEST(Envelope, SymmetricModeHasTheBytesOfTheFormat) {
    const RunSecrets run = draw_symmetric_run(5, structure_key.view(), content_key.view(), system_random());
    const Bytes bytes = written(run.envelope);
    ASSERT_EQ(bytes.size(), 1U + 4 + 32 + 32 + 32 + 32);
    EXPECT_EQ(to_hex(ByteView(bytes).first(5)), "0105000000");
    // Every step by the primitives alone.
    const ByteView content_salt = ByteView(bytes).subspan(69, 32);
    ByteWriter info;
    info.raw(as_bytes("holdfast run secret"));
    info.u8(3);
    info.raw(content_salt);
    const Secret content = hkdf_expand(content_key.view(), info.bytes());
    EXPECT_TRUE(equal_constant_time(content.view(), run.content.view()));
    const auto cc = derive_hash<32>("holdfast content commitment 1", content.view());
    EXPECT_EQ(to_hex(ByteView(bytes).subspan(5, 32)), cc.hex());
    const auto cs = derive_hash<32>("holdfast structure commitment 1", run.structure.view());
    EXPECT_EQ(to_hex(ByteView(bytes).subspan(37, 32)), cs.hex());
    EXPECT_EQ((derive_hash<16>("holdfast run 1", ByteView(bytes).subspan(5, 64))), run.envelope.run());
}

TEST(Envelope, ComesBackFromItsBytesInEveryMode) {
    for (const RunSecrets& run :
         {draw_symmetric_run(1, structure_key.view(), content_key.view(), system_random()), sealed_run(),
          draw_structure_only_run(9, structure_key.view(), system_random())}) {
        const Bytes bytes = written(run.envelope);
        EXPECT_LE(bytes.size(), envelope_limit_bytes);
        ByteReader in(bytes, "envelope");
        EXPECT_EQ(read_envelope(in, "envelope"), run.envelope);
        EXPECT_TRUE(in.at_end());
        for (std::size_t size = 0; size < bytes.size(); ++size) {
            ByteReader cut(ByteView(bytes).first(size), "envelope");
            EXPECT_EQ(code_of([&] { read_envelope(cut, "envelope"); }), ErrorCode::corrupt);
        }
    }
}

TEST(Envelope, HolderOfAPurposeSecretOpensThatPurposeOnly) {
    for (const RunSecrets& run :
         {draw_symmetric_run(1, structure_key.view(), content_key.view(), system_random()), sealed_run()}) {
        const Secret structure = open_envelope(run.envelope, Purpose::structure, structure_key.view());
        EXPECT_TRUE(equal_constant_time(structure.view(), run.structure.view()));
        const Secret content = open_envelope(run.envelope, Purpose::content, content_key.view());
        EXPECT_TRUE(equal_constant_time(content.view(), run.content.view()));
        EXPECT_EQ(code_of([&] { open_envelope(run.envelope, Purpose::content, structure_key.view()); }),
                  ErrorCode::wrong_key);
        EXPECT_EQ(code_of([&] { open_envelope(run.envelope, Purpose::structure, content_key.view()); }),
                  ErrorCode::wrong_key);
    }
}

TEST(Envelope, StructureOnlyRunHasNoContentSecret) {
    const RunSecrets run = draw_structure_only_run(1, structure_key.view(), system_random());
    EXPECT_TRUE(run.content.empty());
    EXPECT_EQ(run.envelope.content_commitment, Key{});
    EXPECT_EQ(code_of([&] { open_envelope(run.envelope, Purpose::content, content_key.view()); }),
              ErrorCode::wrong_key);
    EXPECT_TRUE(equal_constant_time(
        open_envelope(run.envelope, Purpose::structure, structure_key.view()).view(), run.structure.view()));
}

// Anyone with the public keys can seal secrets of his own; the run id tells them apart.
TEST(Envelope, SecretsSealedByAnotherAreNotThoseOfTheRun) {
    const RunSecrets run = sealed_run();
    const RunSecrets other = sealed_run();
    Envelope swapped = run.envelope;
    swapped.structure_part = other.envelope.structure_part;
    EXPECT_EQ(swapped.run(), run.envelope.run());
    EXPECT_EQ(code_of([&] { open_envelope(swapped, Purpose::structure, structure_key.view()); }),
              ErrorCode::wrong_key);
    swapped.structure_commitment = other.envelope.structure_commitment;
    EXPECT_NE(swapped.run(), run.envelope.run());
}

TEST(Envelope, EveryChangedByteIsRefusedOrAnotherRun) {
    const RunSecrets run = sealed_run();
    const Bytes bytes = written(run.envelope);
    for (std::size_t at = 5; at < bytes.size(); ++at) {
        Bytes changed = bytes;
        changed[at] ^= 0x10;
        ByteReader in(changed, "envelope");
        const Envelope envelope = read_envelope(in, "envelope");
        const bool another = envelope.run() != run.envelope.run();
        const auto opens = [&](Purpose purpose, const Secret& key) {
            try {
                open_envelope(envelope, purpose, key.view());
                return true;
            } catch (const Error&) {
                return false;
            }
        };
        EXPECT_TRUE(another || !opens(Purpose::content, content_key) ||
                    !opens(Purpose::structure, structure_key))
            << at;
    }
}

TEST(Envelope, UnknownModeAndEpochZeroAreRefused) {
    Bytes bytes = written(sealed_run().envelope);
    Bytes unknown = bytes;
    unknown[0] = 4;
    ByteReader in(unknown, "envelope");
    EXPECT_EQ(code_of([&] { read_envelope(in, "envelope"); }), ErrorCode::incompatible);
    std::fill_n(bytes.begin() + 1, 4, Byte{0});
    ByteReader zero(bytes, "envelope");
    EXPECT_EQ(code_of([&] { read_envelope(zero, "envelope"); }), ErrorCode::corrupt);
}

} // namespace
} // namespace holdfast
