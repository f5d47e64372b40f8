// Chains of signatures, removed slots, and what somebody who can write to the store can achieve with forged
// key objects.
#include "repository/revocation.h"
#include "repository/trust.h"
#include "support/repository_fixture.h"

#include <algorithm>

#include <gtest/gtest.h>

namespace holdfast {
namespace {

class TrustTest : public RepositoryTest {
  protected:
    Trust load() { return Trust::load(store, admin->config); }

    // A slot record signed by whom the test wants.
    void forge_slot(const SlotId& id, Role role, const Secret& seed, const SlotId& issuer,
                    const SigningKey& key) {
        SlotRecord record;
        record.slot = id;
        record.label = "forged";
        record.role = role;
        record.domain = "default";
        record.kind = SlotKind::public_key;
        record.signing_public = public_identity(seed).signing_public;
        record.box_public = public_identity(seed).box_public;
        record.issuer = issuer;
        const std::string name = slot_name(id);
        store.put(name, sign_object(ObjectKind::slot, name, write_slot(record), issuer, key));
    }
    void forge_revocation(const SlotRecord& victim, const SlotId& signer, const SigningKey& key) {
        Revocation revocation;
        revocation.slot = victim.slot;
        revocation.label = victim.label;
        revocation.role = victim.role;
        revocation.domain = victim.domain;
        revocation.signing_public = victim.signing_public;
        const std::string name = revocation_name(victim.slot);
        store.put(name, sign_object(ObjectKind::revocation, name, write_revocation(revocation), signer, key));
    }
    bool is_ignored(const Trust& trust, const std::string& name) {
        return std::ranges::any_of(trust.ignored(),
                                   [&](const IgnoredObject& object) { return object.name == name; });
    }
    ErrorCode denied(const Trust& trust, const std::string& name) {
        return code_of([&] { check_object(name, store.objects.at(name), trust); });
    }
};

TEST_F(TrustTest, EverySlotOfAFreshRepositoryChainsToTheRoot) {
    const Trust trust = load();
    EXPECT_EQ(trust.active_slots().size(), 2U); // the first and the recovery key
    EXPECT_TRUE(trust.ignored().empty());
    ASSERT_NE(trust.active(admin->config.root_slot), nullptr);
    EXPECT_EQ(trust.active(admin->config.root_slot)->signing_public, admin->config.root);
}

TEST_F(TrustTest, SlotSignedByItselfOrByAStrangerIsNotEnrolled) {
    const Secret seed = filled_secret(66);
    const SigningKey key = slot_signing_key(seed);
    const SlotId self = random.id<16>();
    const SlotId child = random.id<16>();
    forge_slot(self, Role::full, seed, self, key);
    forge_slot(child, Role::write, filled_secret(67), self, key);
    // In the root's name, but not with its key.
    const SlotId pretender = random.id<16>();
    forge_slot(pretender, Role::full, seed, admin->config.root_slot, key);
    const Trust trust = load();
    for (const SlotId& slot : {self, child, pretender}) {
        EXPECT_EQ(trust.active(slot), nullptr);
        EXPECT_TRUE(is_ignored(trust, slot_name(slot)));
        EXPECT_FALSE(trust.may_write(slot, ObjectKind::commit, RunId{}));
    }
    const std::string name = grant_name(admin->ring.slot(), 99);
    store.put(name, sign_object(ObjectKind::grant, name, {}, self, key));
    EXPECT_EQ(denied(trust, name), ErrorCode::access_denied);
}

TEST_F(TrustTest, SlotEnrolledByASlotThatIsNotFullDoesNotCount) {
    add(Role::write, 2, "writer");
    const Unlocked writer = open(2);
    const SlotId smuggled = random.id<16>();
    forge_slot(smuggled, Role::full, filled_secret(67), writer.ring.slot(), writer.ring.signing_key());
    EXPECT_EQ(load().active(smuggled), nullptr);
}

TEST_F(TrustTest, ChainsOfFullSlotsCountAndCyclesDoNot) {
    add(Role::full, 2, "second");
    Unlocked second = open(2);
    KeySlots by_second(store, clock, random, second);
    const Credential third = Credential::key_file(key_file_of(3));
    NewSlot slot;
    slot.label = "third";
    slot.role = Role::write;
    slot.credential = &third;
    const SlotId id = by_second.add(slot);
    EXPECT_NE(load().active(id), nullptr);
    EXPECT_EQ(load().active(id)->issuer, second.ring.slot());

    const SlotId a = random.id<16>();
    const SlotId b = random.id<16>();
    forge_slot(a, Role::full, filled_secret(70), b, slot_signing_key(filled_secret(71)));
    forge_slot(b, Role::full, filled_secret(71), a, slot_signing_key(filled_secret(70)));
    EXPECT_EQ(load().active(a), nullptr);
    EXPECT_EQ(load().active(b), nullptr);
}

TEST_F(TrustTest, DamagedKeyObjectIsIgnoredAndNamed) {
    const SlotId writer = add(Role::write, 2, "writer");
    const std::string name = slot_name(writer);
    const Bytes intact = store.objects.at(name);
    for (std::size_t at = 0; at < intact.size(); at += 7) {
        store.objects[name] = intact;
        store.objects[name][at] ^= 1;
        const Trust trust = load();
        EXPECT_EQ(trust.active(writer), nullptr) << at;
        EXPECT_TRUE(is_ignored(trust, name)) << at;
        EXPECT_NE(trust.active(admin->ring.slot()), nullptr);
    }
}

TEST_F(TrustTest, RemovedSlotsEarlierRunsCountAndLaterOnesDoNot) {
    const SlotId id = add(Role::write, 2, "writer");
    const Unlocked writer = open(2);
    RunContext before = writer.ring.begin_run(random);
    const std::string intent = intent_name(before.id(), 0);
    store.put(intent, sign_object(ObjectKind::intent, intent, {}, before));
    const std::string commit = put_commit(before);

    const RemovedSlot removed = slots->remove(id);
    EXPECT_EQ(removed.runs, 1U);
    RunContext after = writer.ring.begin_run(random);
    const std::string later = put_commit(after);
    const Trust trust = load();
    EXPECT_EQ(trust.active(id), nullptr);
    ASSERT_NE(trust.revocation(id), nullptr);
    EXPECT_EQ(as_text(open_object(commit, store.objects.at(commit), admin->ring, trust).body),
              R"({"source":"home"})");
    EXPECT_EQ(denied(trust, later), ErrorCode::access_denied);
    EXPECT_TRUE(trust.may_write(id, ObjectKind::pack, before.id()));
    EXPECT_FALSE(trust.may_write(id, ObjectKind::pack, after.id()));
}

TEST_F(TrustTest, RemovedSlotCannotRewriteACommitOfARunThatCounts) {
    const SlotId id = add(Role::write, 2, "writer");
    const Unlocked writer = open(2);
    RunContext run = writer.ring.begin_run(random);
    const std::string commit = put_commit(run);
    slots->remove(id);
    store.objects[commit] =
        sign_parts(ObjectKind::commit, commit, as_bytes("another, of the same length"), run);
    EXPECT_EQ(denied(load(), commit), ErrorCode::access_denied);
}

TEST_F(TrustTest, RemovedPrunerCannotForgetInTheNameOfAnOldRun) {
    const SlotId id = add(Role::prune, 3, "pruner");
    const Unlocked pruner = open(3);
    const RunContext run = pruner.ring.begin_run(random);
    const std::string old_forget = forget_name(random.id<16>());
    store.put(old_forget, sign_object(ObjectKind::forget, old_forget, {}, run));
    slots->remove(id);
    const Trust trust = load();
    EXPECT_NO_THROW(check_object(old_forget, store.objects.at(old_forget), trust));
    const std::string new_forget = forget_name(random.id<16>());
    store.put(new_forget, sign_object(ObjectKind::forget, new_forget, {}, run));
    EXPECT_EQ(denied(trust, new_forget), ErrorCode::access_denied);
}

TEST_F(TrustTest, RunOfAPackAloneIsLeftToARemovedSlot) {
    const SlotId id = add(Role::write, 2, "writer");
    // A pack of an interrupted run whose intent was cleaned up; its header names the writer.
    const PackId pack{random.id<16>()};
    ByteWriter header;
    header.raw(as_bytes("HFPK"));
    header.u32(0x00640101);
    header.fixed_bytes(id);
    header.fixed_bytes(pack.to_bytes());
    store.put(pack.name(), header.bytes());
    const PackId foreign{random.id<16>()};
    store.put(foreign.name(), Bytes(100, 0));
    slots->remove(id);
    EXPECT_TRUE(load().may_write(id, ObjectKind::pack, pack.run));
    EXPECT_FALSE(load().may_write(id, ObjectKind::pack, foreign.run));
}

TEST_F(TrustTest, DistrustedRunsDoNotCount) {
    const SlotId id = add(Role::write, 2, "writer");
    const Unlocked writer = open(2);
    RunContext good = writer.ring.begin_run(random);
    RunContext bad = writer.ring.begin_run(random);
    const std::string good_commit = put_commit(good);
    const std::string bad_commit = put_commit(bad);
    RemoveOptions options;
    options.distrusted = {bad.id()};
    slots->remove(id, options);
    EXPECT_NO_THROW(check_object(good_commit, store.objects.at(good_commit), load()));
    EXPECT_EQ(denied(load(), bad_commit), ErrorCode::access_denied);
}

TEST_F(TrustTest, WhatARemovedAdministratorDidStaysAndWhatHeDoesDoesNot) {
    const SlotId second_id = add(Role::full, 2, "second");
    Unlocked second = open(2);
    KeySlots by_second(store, clock, random, second);
    const Credential third = Credential::key_file(key_file_of(3));
    NewSlot slot;
    slot.label = "third";
    slot.role = Role::write;
    slot.credential = &third;
    const SlotId third_id = by_second.add(slot);
    by_second.rotate();
    slots->remove(second_id);

    const SlotId late = random.id<16>();
    forge_slot(late, Role::full, filled_secret(90), second_id, second.ring.signing_key());
    const SlotRecord victim = *admin->trust.active(third_id);
    forge_revocation(victim, second_id, second.ring.signing_key());
    // Through the slot that he smuggled in, too.
    forge_revocation(*admin->trust.active(admin->ring.slot()), late, slot_signing_key(filled_secret(90)));
    const Trust trust = load();
    EXPECT_NE(trust.active(third_id), nullptr) << "what he enrolled before stays enrolled";
    EXPECT_EQ(trust.revocation(third_id), nullptr) << "he removes nobody any more";
    EXPECT_EQ(trust.active(late), nullptr) << "he enrols nobody any more";
    EXPECT_NE(trust.active(admin->ring.slot()), nullptr);
    EXPECT_EQ(open(3).ring.newest_epoch(), 2U) << "grants that he signed before count";
}

TEST_F(TrustTest, RootCanBeRemovedAndItsConfigStaysAsItWas) {
    Unlocked recovery = unlock(store, Credential::key_file(parse_key_file(recovery_text, "paper")));
    KeySlots by_recovery(store, clock, random, recovery);
    const SlotId root = admin->config.root_slot;
    by_recovery.remove(root);
    EXPECT_EQ(code_of([&] { unlock(store, passphrase()); }), ErrorCode::wrong_key);
    EXPECT_EQ(unlock(store, Credential::key_file(parse_key_file(recovery_text, "paper"))).trust.active(root),
              nullptr);
    // Whoever kept the root's key writes another config.
    RepositoryConfig changed = admin->config;
    changed.capabilities.put_if_absent = false;
    store.objects[std::string(config_name)] = write_config(changed, admin->ring.signing_key());
    EXPECT_EQ(code_of([&] { unlock(store, Credential::key_file(parse_key_file(recovery_text, "paper"))); }),
              ErrorCode::access_denied);
}

TEST_F(TrustTest, OfTwoWhoRemoveEachOtherTheFirstWins) {
    const SlotId second_id = add(Role::full, 2, "second");
    const SlotId third_id = add(Role::full, 3, "third");
    const Unlocked second = open(2);
    const Unlocked third = open(3);
    forge_revocation(*admin->trust.active(third_id), second_id, second.ring.signing_key());
    forge_revocation(*admin->trust.active(second_id), third_id, third.ring.signing_key());
    const Trust trust = load();
    EXPECT_NE(trust.revocation(third_id), nullptr);
    EXPECT_NE(trust.active(second_id), nullptr);
    EXPECT_TRUE(is_ignored(trust, revocation_name(second_id)));

    store.modified[revocation_name(second_id)] = store.modified[revocation_name(third_id)];
    const Trust at_once = load();
    EXPECT_NE(at_once.revocation(second_id), nullptr);
    EXPECT_NE(at_once.revocation(third_id), nullptr);
    EXPECT_NE(at_once.active(admin->ring.slot()), nullptr);
}

TEST_F(TrustTest, RemovedAdministratorCannotRemoveTheRootInReturn) {
    const SlotId second_id = add(Role::full, 2, "second");
    const Unlocked second = open(2);
    slots->remove(second_id);
    forge_revocation(*admin->trust.active(admin->ring.slot()), second_id, second.ring.signing_key());
    EXPECT_NO_THROW(unlock(store, passphrase()));
    EXPECT_TRUE(is_ignored(load(), revocation_name(admin->ring.slot())));
}

TEST_F(TrustTest, JunkInPlaceOfARevocationRemovesNobodyAndDoesNotStopARemoval) {
    const SlotId id = add(Role::write, 2, "writer");
    const Unlocked writer = open(2);
    // The holder expects to be removed and takes the name, with its own signature.
    forge_revocation(*admin->trust.active(id), id, writer.ring.signing_key());
    EXPECT_NE(load().active(id), nullptr);
    slots->remove(id);
    EXPECT_NE(load().revocation(id), nullptr);
}

TEST_F(TrustTest, SlotObjectPutBackAfterRemovalStaysRemoved) {
    const SlotId id = add(Role::write, 2, "writer");
    const auto kept = store.objects;
    slots->remove(id);
    for (const auto& [name, bytes] : kept) store.objects.try_emplace(name, bytes);
    EXPECT_EQ(load().active(id), nullptr);
    EXPECT_EQ(code_of([&] { open(2); }), ErrorCode::wrong_key);
}

} // namespace
} // namespace holdfast
