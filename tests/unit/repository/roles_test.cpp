// Each role can do what the table of section 4 says and nothing more, tried with everything that such a
// holder has.
#include "repository/log/log_writer.h"
#include "repository/object.h"
#include "support/repository_fixture.h"

#include <algorithm>

#include <gtest/gtest.h>

namespace holdfast {
namespace {

class RolesTest : public RepositoryTest {
  protected:
    RolesTest() {
        add(Role::read, 1, "reader");
        add(Role::write, 2, "writer", "office");
        add(Role::prune, 3, "pruner");
        UnlockOptions with_cache;
        with_cache.cache = cache;
        reader = std::make_unique<Unlocked>(open(1));
        writer = std::make_unique<Unlocked>(open(2, with_cache));
        pruner = std::make_unique<Unlocked>(open(3));
    }

    // Puts an object of this kind, written by this holder, and tells whether an administrator accepts it.
    bool accepted(const Unlocked& holder, ObjectKind kind) {
        RunContext run = holder.ring.begin_run(random);
        const std::string name = name_for(kind, run.id(), holder.ring);
        Bytes object;
        if (kind == ObjectKind::config || kind == ObjectKind::slot || kind == ObjectKind::grant ||
            kind == ObjectKind::revocation) {
            object = sign_object(kind, name, as_bytes("{}"), holder.ring.slot(), holder.ring.signing_key());
        } else if (is_encrypted(kind)) {
            object = seal_object(kind, name, as_bytes("{}"), run);
        } else {
            object = sign_object(kind, name, as_bytes("{}"), run);
        }
        try {
            check_object(name, object, admin->trust);
            return true;
        } catch (const Error& error) {
            EXPECT_EQ(error.code(), ErrorCode::access_denied) << error.message();
            return false;
        }
    }
    std::string name_for(ObjectKind kind, const RunId& run, const KeyRing& ring) {
        const PackId pack{run};
        switch (kind) {
        case ObjectKind::config:
            return std::string(config_name);
        case ObjectKind::slot:
            return slot_name(run);
        case ObjectKind::grant:
            return grant_name(run, 1);
        case ObjectKind::revocation:
            return revocation_name(run);
        case ObjectKind::index_segment:
            return index_segment_name(domain_id(ring.domain()), run, 0);
        case ObjectKind::log_slice:
            return LogSliceId{archive_id(domain_id(ring.domain()), Bytes(32, 9), "a", "b"), {1, 0, 1}, run, 0}
                .name();
        case ObjectKind::intent:
            return intent_name(run, 0);
        case ObjectKind::commit:
            return commit_name(run);
        case ObjectKind::fence:
            return commit_name(random.id<16>());
        case ObjectKind::checkpoint:
            return checkpoint_name(run, 0);
        case ObjectKind::forget:
            return forget_name(random.id<16>());
        case ObjectKind::statement:
            return statement_name(ring.slot(), 0);
        case ObjectKind::condemned:
            return condemned_name(run);
        case ObjectKind::verdict:
            return verdict_name(run);
        case ObjectKind::moved:
            return moved_name(pack);
        case ObjectKind::pack:
            break;
        }
        return {};
    }
    std::vector<ObjectKind> accepted_kinds(const Unlocked& holder) {
        std::vector<ObjectKind> kinds;
        for (int kind = 1; kind <= 15; ++kind) {
            if (accepted(holder, static_cast<ObjectKind>(kind)))
                kinds.push_back(static_cast<ObjectKind>(kind));
        }
        return kinds;
    }

    std::shared_ptr<MapRunSecretCache> cache = std::make_shared<MapRunSecretCache>();
    std::unique_ptr<Unlocked> reader, writer, pruner;
};

using enum ObjectKind;

TEST_F(RolesTest, FullWritesEverything) { EXPECT_EQ(accepted_kinds(*admin).size(), 15U); }

TEST_F(RolesTest, ReadWritesStatements) {
    EXPECT_EQ(accepted_kinds(*reader), (std::vector{statement}));
    EXPECT_FALSE(admin->trust.may_write(reader->ring.slot(), pack, RunId{}));
}

TEST_F(RolesTest, WriteWritesRuns) {
    EXPECT_EQ(accepted_kinds(*writer), (std::vector{index_segment, intent, commit, checkpoint, log_slice}));
    EXPECT_TRUE(admin->trust.may_write(writer->ring.slot(), pack, RunId{}));
}

TEST_F(RolesTest, PruneWritesCollectionsForgetsAndStatements) {
    EXPECT_EQ(accepted_kinds(*pruner),
              (std::vector{index_segment, intent, fence, forget, statement, condemned, verdict, moved}));
    EXPECT_TRUE(admin->trust.may_write(pruner->ring.slot(), pack, RunId{}));
}

TEST_F(RolesTest, WriterIndexesItsOwnDomainOnly) {
    const RunContext run = writer->ring.begin_run(random);
    const std::string own = index_segment_name(domain_id("office"), run.id(), 0);
    const std::string foreign = index_segment_name(domain_id("default"), run.id(), 0);
    EXPECT_NO_THROW(check_object(own, sign_parts(index_segment, own, {}, run), admin->trust));
    const Bytes overstepping = sign_parts(index_segment, foreign, {}, run);
    EXPECT_EQ(code_of([&] { check_object(foreign, overstepping, admin->trust); }), ErrorCode::access_denied);
}

TEST_F(RolesTest, FullAndReadOpenWhatAnyoneWrote) {
    for (const Unlocked* author : {admin.get(), writer.get()}) {
        RunContext run = author->ring.begin_run(random);
        const std::string name = put_commit(run, "text");
        for (const Unlocked* holder : {admin.get(), reader.get()}) {
            EXPECT_EQ(as_text(open_stored(name, *holder).body), "text");
            EXPECT_TRUE(equal_constant_time(holder->ring.content_secret_for(run.envelope())->view(),
                                            run.content_secret().view()));
        }
    }
}

TEST_F(RolesTest, PruneOpensStructureAndNoContent) {
    for (const Unlocked* author : {admin.get(), writer.get(), pruner.get()}) {
        RunContext run = author->ring.begin_run(random);
        EXPECT_TRUE(equal_constant_time(pruner->ring.structure_secret_for(run.envelope())->view(),
                                        run.structure_secret().view()));
        EXPECT_EQ(code_of([&] { pruner->ring.content_secret_for(run.envelope()); }), ErrorCode::wrong_key);
    }
    EXPECT_EQ(code_of([&] { static_cast<void>(pruner->ring.identity_key()); }), ErrorCode::wrong_key);
}

TEST_F(RolesTest, PruneRunHasNoContentSecret) {
    const RunContext run = pruner->ring.begin_run(random);
    EXPECT_EQ(run.envelope().mode, EnvelopeMode::structure_only);
    EXPECT_EQ(code_of([&] { static_cast<void>(run.content_secret()); }), ErrorCode::wrong_key);
}

TEST_F(RolesTest, WriterReadsItsOwnMetadataThroughItsCache) {
    RunContext run = writer->ring.begin_run(random);
    const std::string name = put_commit(run, "own");
    EXPECT_EQ(run.envelope().mode, EnvelopeMode::sealed);
    EXPECT_EQ(as_text(open_stored(name, *writer).body), "own");
    // Another day, another process: only the cache is left.
    UnlockOptions with_cache;
    with_cache.cache = cache;
    EXPECT_EQ(as_text(open_stored(name, open(2, with_cache)).body), "own");
    EXPECT_EQ(code_of([&] { open_stored(name, open(2)); }), ErrorCode::wrong_key);
    // What lies in the cache is of use to the holder of the seed only.
    ASSERT_EQ(cache->entries.size(), 1U);
    EXPECT_EQ(std::ranges::search(cache->entries.begin()->second, run.structure_secret().view()).size(), 0U);
    cache->entries.begin()->second[0] ^= 1;
    EXPECT_EQ(code_of([&] { open_stored(name, open(2, with_cache)); }), ErrorCode::wrong_key);
}

TEST_F(RolesTest, WriterOpensNothingOfOthers) {
    RunContext run = admin->ring.begin_run(random);
    const std::string name = put_commit(run);
    EXPECT_EQ(code_of([&] { open_stored(name, *writer); }), ErrorCode::wrong_key);
    EXPECT_EQ(code_of([&] { writer->ring.content_secret_for(run.envelope()); }), ErrorCode::wrong_key);
}

// The run is over; the holder tries every secret and derived key that it has on both parts of its envelope.
TEST_F(RolesTest, WriterCannotOpenItsOwnContentAfterTheRun) {
    RunContext run = writer->ring.begin_run(random);
    const Envelope envelope = run.envelope();
    const Secret structure = run.structure_secret().copy();
    run.forget_content();
    EXPECT_EQ(code_of([&] { static_cast<void>(run.content_secret()); }), ErrorCode::wrong_key);
    EXPECT_EQ(code_of([&] { writer->ring.content_secret_for(envelope); }), ErrorCode::wrong_key);

    const auto stored = newest_grant(store, writer->trust, writer->ring.slot());
    ASSERT_TRUE(stored);
    const Grant grant = open_grant(stored->name, stored->body, writer->ring.box_key());
    EXPECT_TRUE(grant.structure.empty());
    EXPECT_TRUE(grant.content.empty());
    const SlotRecord* record = writer->trust.active(writer->ring.slot());
    const auto unwrapped = unwrap_slot(*record, key_file_wrapping_key(filled_secret(2), record->salt));
    ASSERT_TRUE(unwrapped);
    std::vector<Secret> keys;
    keys.push_back(unwrapped->seed.copy());
    keys.push_back(filled_secret(2));
    keys.push_back(grant.identity.copy());
    keys.push_back(structure.copy());
    keys.push_back(Secret::copy_of(grant.public_keys->content.bytes));
    keys.push_back(Secret::copy_of(grant.public_keys->structure.bytes));
    for (const std::string_view label :
         {"holdfast signing key", "holdfast box key", "holdfast run secret cache"}) {
        keys.push_back(hkdf_expand(unwrapped->seed.view(), as_bytes(label)));
    }
    for (const auto& [cached_run, sealed] : cache->entries) {
        keys.push_back(Secret::copy_of(ByteView(sealed).first(32)));
    }
    ByteWriter info;
    info.raw(as_bytes("holdfast seal"));
    info.u8(3);
    for (const Secret& key : keys) {
        EXPECT_EQ(code_of([&] { open_envelope(envelope, Purpose::content, key.view()); }),
                  ErrorCode::wrong_key);
        EXPECT_FALSE(BoxKey(key.copy()).open(info.bytes(), envelope.content_part));
        EXPECT_FALSE(matches_commitment(envelope, Purpose::content, key.view()));
    }
    // The full holder opens it.
    EXPECT_TRUE(
        matches_commitment(envelope, Purpose::content, admin->ring.content_secret_for(envelope)->view()));
}

TEST_F(RolesTest, IdentityKeysAreThoseOfTheDomain) {
    EXPECT_TRUE(equal_constant_time(writer->ring.identity_key().view(),
                                    admin->ring.identity_key_of("office").view()));
    EXPECT_FALSE(equal_constant_time(writer->ring.identity_key().view(), admin->ring.identity_key().view()));
    EXPECT_EQ(code_of([&] { static_cast<void>(writer->ring.identity_key_of("default")); }),
              ErrorCode::wrong_key);
}

TEST_F(RolesTest, OnlyFullManagesKeys) {
    for (Unlocked* holder : {reader.get(), writer.get(), pruner.get()}) {
        EXPECT_EQ(code_of([&] { KeySlots(store, clock, random, *holder); }), ErrorCode::access_denied);
    }
}

} // namespace
} // namespace holdfast
