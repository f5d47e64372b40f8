#include "crypto/aead.h"
#include "crypto/hash.h"
#include "repository/object.h"
#include "support/repository_fixture.h"

#include <gtest/gtest.h>

namespace holdfast {
namespace {

class ObjectTest : public RepositoryTest {
  protected:
    RunContext run = admin->ring.begin_run(random);
    const std::string name = commit_name(run.id());
    const Bytes object = seal_object(ObjectKind::commit, name, as_bytes("what is protected"), run);

    OpenedObject open_as(std::string_view other_name, ByteView bytes) {
        return open_object(other_name, bytes, admin->ring, admin->trust);
    }
};

TEST_F(ObjectTest, HasTheBytesOfTheFormat) {
    ByteReader in(object, "commit");
    EXPECT_EQ(as_text(in.raw(4)), "HFOB");
    EXPECT_EQ(to_hex(in.raw(4)), "01070100");
    EXPECT_EQ(in.fixed_bytes<16>(), admin->ring.slot());
    EXPECT_EQ(in.fixed_bytes<16>(), run.id());
    EXPECT_EQ(read_envelope(in, "commit"), run.envelope());
    EXPECT_EQ(in.u64(), 17U + aead_tag_bytes);
    const std::size_t body_offset = in.position();
    const ByteView body = in.raw(17 + aead_tag_bytes);
    const auto signature = in.fixed_bytes<64>();
    in.expect_end();

    // Every step by the primitives alone.
    ByteWriter info;
    info.raw(as_bytes("holdfast object"));
    info.u8(7);
    info.sized(name);
    Bytes associated(object.begin(), object.begin() + static_cast<std::ptrdiff_t>(body_offset));
    associated.insert(associated.end(), name.begin(), name.end());
    Bytes plain(17);
    ASSERT_TRUE(Aead(hkdf_expand(run.structure_secret().view(), info.bytes()).view())
                    .open(0, associated, body, plain));
    EXPECT_EQ(as_text(plain), "what is protected");
    ByteWriter message;
    message.raw(as_bytes("holdfast signature 1"));
    message.sized(name);
    message.fixed_bytes(
        derive_hash<32>("holdfast object digest 1", ByteView(object).first(object.size() - 64)));
    EXPECT_TRUE(verify_signature(admin->ring.signing_key().public_key(), message.bytes(), signature));
}

TEST_F(ObjectTest, OpensToWhatWasSealed) {
    const OpenedObject opened = open_as(name, object);
    EXPECT_EQ(as_text(opened.body), "what is protected");
    EXPECT_EQ(opened.kind, ObjectKind::commit);
    EXPECT_EQ(opened.writer, admin->ring.slot());
    EXPECT_EQ(opened.run, run.id());
    EXPECT_EQ(opened.envelope, run.envelope());
}

TEST_F(ObjectTest, EveryFlippedBitIsDetected) {
    for (std::size_t bit = 0; bit < object.size() * 8; ++bit) {
        Bytes changed = object;
        changed[bit / 8] = static_cast<Byte>(changed[bit / 8] ^ (1U << (bit % 8)));
        EXPECT_ANY_THROW(open_as(name, changed)) << "bit " << bit;
    }
}

TEST_F(ObjectTest, EveryCutAndEveryAddedByteIsDetected) {
    for (std::size_t size = 0; size < object.size(); ++size) {
        EXPECT_ANY_THROW(open_as(name, ByteView(object).first(size))) << size;
    }
    Bytes longer = object;
    longer.push_back(0);
    EXPECT_EQ(code_of([&] { open_as(name, longer); }), ErrorCode::corrupt);
}

TEST_F(ObjectTest, StandsUnderItsOwnNameOnly) {
    RunContext other = admin->ring.begin_run(random);
    for (const std::string& wrong :
         {commit_name(other.id()), checkpoint_name(run.id(), 0), forget_name(run.id()),
          std::string("commits/"), std::string("config"), PackId{run.id()}.name()}) {
        EXPECT_EQ(code_of([&] { open_as(wrong, object); }), ErrorCode::corrupt) << wrong;
    }
    // Two objects of one kind and one run: only the signature and the encryption tell their names apart.
    const std::string first = checkpoint_name(run.id(), 1);
    const Bytes checkpoint = seal_object(ObjectKind::checkpoint, first, as_bytes("first"), run);
    EXPECT_EQ(as_text(open_as(first, checkpoint).body), "first");
    EXPECT_EQ(code_of([&] { open_as(checkpoint_name(run.id(), 2), checkpoint); }), ErrorCode::corrupt);
}

TEST_F(ObjectTest, EncryptionBindsTheNameToo) {
    // Signed again under another name by a writer who may do that, the body does not decrypt.
    const std::string first = checkpoint_name(run.id(), 1);
    const std::string second = checkpoint_name(run.id(), 2);
    const Bytes checkpoint = seal_object(ObjectKind::checkpoint, first, as_bytes("first"), run);
    const ObjectForm form = read_object_form(first, checkpoint);
    const Bytes moved = sign_parts(ObjectKind::checkpoint, second, form.body, run);
    EXPECT_EQ(code_of([&] { open_as(second, moved); }), ErrorCode::corrupt);
}

TEST_F(ObjectTest, NoNameIsEncryptedTwice) {
    EXPECT_EQ(seal_object(ObjectKind::commit, name, as_bytes("what is protected"), run), object);
    EXPECT_EQ(code_of([&] { seal_object(ObjectKind::commit, name, as_bytes("something else"), run); }),
              ErrorCode::internal);
}

TEST_F(ObjectTest, UnencryptedKindsOpenToTheirBody) {
    const std::string intent = intent_name(run.id(), 0);
    const Bytes bytes = sign_object(ObjectKind::intent, intent, as_bytes("{}"), run);
    const OpenedObject opened = check_object(intent, bytes, admin->trust);
    EXPECT_EQ(as_text(opened.body), "{}");
    EXPECT_FALSE(opened.envelope);
    for (std::size_t bit = 0; bit < bytes.size() * 8; ++bit) {
        Bytes changed = bytes;
        changed[bit / 8] = static_cast<Byte>(changed[bit / 8] ^ (1U << (bit % 8)));
        EXPECT_ANY_THROW(check_object(intent, changed, admin->trust)) << "bit " << bit;
    }
}

TEST_F(ObjectTest, WrongFormForTheKindIsADefect) {
    EXPECT_EQ(code_of([&] { sign_object(ObjectKind::commit, name, {}, run); }), ErrorCode::internal);
    EXPECT_EQ(code_of([&] { seal_object(ObjectKind::intent, intent_name(run.id(), 0), {}, run); }),
              ErrorCode::internal);
}

TEST_F(ObjectTest, AFenceIsOfAnotherRunAndACommitOfItsOwn) {
    RunContext other = admin->ring.begin_run(random);
    const Bytes fence = sign_object(ObjectKind::fence, name, as_bytes("{}"), other);
    EXPECT_EQ(check_object(name, fence, admin->trust).kind, ObjectKind::fence);
    const Bytes own = sign_object(ObjectKind::fence, name, as_bytes("{}"), run);
    EXPECT_EQ(code_of([&] { check_object(name, own, admin->trust); }), ErrorCode::corrupt);
    const Bytes foreign = seal_object(ObjectKind::commit, name, as_bytes("{}"), other);
    EXPECT_EQ(code_of([&] { check_object(name, foreign, admin->trust); }), ErrorCode::corrupt);
}

TEST_F(ObjectTest, StatementsStandUnderTheirWriter) {
    const std::string own = statement_name(admin->ring.slot(), 0);
    EXPECT_EQ(as_text(open_as(own, seal_object(ObjectKind::statement, own, as_bytes("{}"), run)).body), "{}");
    const std::string foreign = statement_name(random.id<16>(), 0);
    const Bytes forged = seal_object(ObjectKind::statement, foreign, as_bytes("{}"), run);
    EXPECT_EQ(code_of([&] { open_as(foreign, forged); }), ErrorCode::corrupt);
}

TEST_F(ObjectTest, UnknownVersionKindSuiteAndFlagsAreIncompatible) {
    for (const auto& [offset, value] : {std::pair{4, 2}, {5, 99}, {6, 2}, {7, 1}}) {
        Bytes changed = object;
        changed[static_cast<std::size_t>(offset)] = static_cast<Byte>(value);
        EXPECT_EQ(code_of([&] { open_as(name, changed); }), ErrorCode::incompatible) << offset;
    }
}

TEST_F(ObjectTest, HeaderIsReadFromTheBeginningAlone) {
    const ByteView beginning = ByteView(object).first(std::min(object.size(), object_header_limit_bytes));
    const ObjectHeader header = read_object_header(name, beginning);
    EXPECT_EQ(header.run, run.id());
    EXPECT_EQ(header.body_offset + header.body_bytes + 64, object.size());
}

TEST_F(ObjectTest, IndexSegmentsAreHandedOutAsTheyStand) {
    const std::string segment = index_segment_name(domain_id("default"), run.id(), 0);
    const Bytes bytes = sign_parts(ObjectKind::index_segment, segment, as_bytes("parts"), run);
    EXPECT_EQ(as_text(open_as(segment, bytes).body), "parts");
}

} // namespace
} // namespace holdfast
