#include "repository/key_slots.h"
#include "support/repository_fixture.h"

#include <algorithm>

#include <gtest/gtest.h>

namespace holdfast {
namespace {

class KeySlotsTest : public RepositoryTest {
  protected:
    Credential recovery() const { return Credential::key_file(parse_key_file(recovery_text, "paper")); }
};

TEST_F(KeySlotsTest, CreatedRepositoryOpensWithPassphraseAndRecoveryKey) {
    const Unlocked first = unlock(store, passphrase());
    const Unlocked second = unlock(store, recovery());
    EXPECT_EQ(first.ring.role(), Role::full);
    EXPECT_EQ(second.ring.role(), Role::full);
    EXPECT_NE(first.ring.slot(), second.ring.slot());
    EXPECT_EQ(second.ring.repository(), admin->config.repository);
    EXPECT_TRUE(equal_constant_time(first.ring.identity_key().view(), second.ring.identity_key().view()));
    RunContext run = second.ring.begin_run(random);
    EXPECT_EQ(as_text(open_stored(put_commit(run, "text"), first).body), "text");
}

TEST_F(KeySlotsTest, SecretsStandNowhereInTheStore) {
    const Secret identity = admin->ring.full_grant().identity.copy();
    const Secret recovery_key = from_recovery_text(recovery_text);
    for (const auto& [name, bytes] : store.objects) {
        for (const ByteView secret : {identity.view(), recovery_key.view(), as_bytes("open sesame"),
                                      admin->ring.full_grant().content.at(1).view()}) {
            EXPECT_TRUE(std::ranges::search(bytes, secret).empty()) << name;
        }
    }
}

TEST_F(KeySlotsTest, WrongPassphraseKeyAndEmptyStoreSaySo) {
    const auto with = [&](std::string_view text) {
        return code_of([&] { unlock(store, Credential::passphrase(text_secret(text))); });
    };
    EXPECT_EQ(with("open sesamf"), ErrorCode::wrong_key);
    EXPECT_EQ(with("open sesame "), ErrorCode::wrong_key);
    EXPECT_EQ(code_of([&] { open(9); }), ErrorCode::wrong_key);
    MapStore empty;
    EXPECT_EQ(code_of([&] { unlock(empty, passphrase()); }), ErrorCode::not_found);
}

TEST_F(KeySlotsTest, SecondInitIsRefusedAndLeavesNothing) {
    const auto before = store.objects;
    InitOptions options;
    options.cost = cheap_cost;
    options.capabilities = store.capabilities();
    EXPECT_EQ(code_of([&] { create_repository(store, clock, random, passphrase(), options); }),
              ErrorCode::already_exists);
    // Two at once: the other's config appears between the check and the put.
    MapStore other;
    other.before_write = [&](std::string_view, const std::string& name) {
        if (name == config_name) other.objects[name] = before.at(name);
    };
    EXPECT_EQ(code_of([&] { create_repository(other, clock, random, passphrase(), options); }),
              ErrorCode::already_exists);
    EXPECT_EQ(other.objects.size(), 1U);
    EXPECT_EQ(store.objects, before);
}

TEST_F(KeySlotsTest, LostAnswerToTheLastPutKeepsTheSlots) {
    MapStore other;
    InitOptions options;
    options.cost = cheap_cost;
    options.capabilities = other.capabilities();
    other.before_write = [&](std::string_view, const std::string& name) {
        if (name == config_name) throw Error(ErrorCode::unavailable, "no answer", "", true);
    };
    EXPECT_EQ(code_of([&] { create_repository(other, clock, random, passphrase(), options); }),
              ErrorCode::unavailable);
    EXPECT_EQ(other.objects.size(), 4U); // the config may be there after all, and would need them
    other.before_write = nullptr;
    // Trying again works, and what the first attempt left does not count.
    const auto created = create_repository(other, clock, random, passphrase(), options);
    EXPECT_EQ(created.unlocked.trust.active_slots().size(), 2U);
    EXPECT_EQ(unlock(other, passphrase()).ring.slot(), created.unlocked.ring.slot());
}

TEST_F(KeySlotsTest, EveryKindOfSlotOpens) {
    const Credential word = Credential::passphrase(text_secret("another word"));
    NewSlot slot;
    slot.label = "second";
    slot.role = Role::read;
    slot.credential = &word;
    slot.cost = cheap_cost;
    const SlotId by_word = slots->add(slot);
    const SlotId by_file = add(Role::prune, 3, "third");
    NewSlot agent;
    agent.label = "agent";
    agent.role = Role::write;
    agent.identity = from_identity_text(to_identity_text(filled_secret(8)));
    const SlotId by_identity = slots->add(agent);

    EXPECT_EQ(unlock(store, Credential::passphrase(text_secret("another word"))).ring.slot(), by_word);
    EXPECT_EQ(open(3).ring.slot(), by_file);
    const Unlocked unlocked = unlock(store, Credential::private_key(key_file_of(8)));
    EXPECT_EQ(unlocked.ring.slot(), by_identity);
    EXPECT_EQ(unlocked.ring.role(), Role::write);
    EXPECT_EQ(unlock(store, passphrase()).ring.slot(), admin->ring.slot());
    EXPECT_EQ(code_of([&] { unlock(store, Credential::private_key(key_file_of(3))); }), ErrorCode::wrong_key);
    EXPECT_EQ(code_of([&] { slots->add(agent); }), ErrorCode::already_exists);
}

TEST_F(KeySlotsTest, FirstSlotCanBeAPrivateKey) {
    MapStore other;
    InitOptions options;
    options.capabilities = other.capabilities();
    options.recovery_key = false;
    const auto created =
        create_repository(other, clock, random, Credential::private_key(key_file_of(8)), options);
    EXPECT_TRUE(created.recovery_text.empty());
    EXPECT_EQ(unlock(other, Credential::private_key(key_file_of(8))).ring.role(), Role::full);
}

TEST_F(KeySlotsTest, LabelsDomainsAndEmptyPassphrasesAreChecked) {
    const Credential good = Credential::key_file(key_file_of(4));
    const Credential empty = Credential::passphrase(Secret());
    const auto adding = [&](std::string label, std::string domain, const Credential* credential) {
        NewSlot slot;
        slot.label = std::move(label);
        slot.domain = std::move(domain);
        slot.credential = credential;
        return code_of([&] { slots->add(slot); });
    };
    const auto before = store.objects;
    EXPECT_EQ(adding("", "default", &good), ErrorCode::usage);
    EXPECT_EQ(adding("a\nb", "default", &good), ErrorCode::usage);
    EXPECT_EQ(adding("\xff\xfe", "default", &good), ErrorCode::usage);
    EXPECT_EQ(adding("fine", "", &good), ErrorCode::usage);
    EXPECT_EQ(adding("fine", "a/b", &good), ErrorCode::usage);
    EXPECT_EQ(adding("fine", "default", &empty), ErrorCode::usage);
    EXPECT_EQ(adding("fine", "default", nullptr), ErrorCode::usage);
    EXPECT_EQ(store.objects, before);
}

TEST_F(KeySlotsTest, ListTellsWhoHasWhat) {
    add(Role::write, 2, "writer", "office");
    const SlotId gone = add(Role::prune, 3, "pruner");
    slots->remove(gone);
    const auto list = slots->list();
    ASSERT_EQ(list.size(), 4U);
    const auto find = [&](std::string_view label) {
        return *std::ranges::find(list, label, &SlotSummary::label);
    };
    EXPECT_TRUE(find("first").own);
    EXPECT_EQ(find("first").kind, SlotKind::passphrase);
    EXPECT_EQ(find("recovery key").kind, SlotKind::key_file);
    EXPECT_EQ(find("writer").domain, "office");
    EXPECT_EQ(find("writer").newest_epoch, 1U);
    EXPECT_TRUE(find("pruner").removed);
    EXPECT_FALSE(find("pruner").kind);
    EXPECT_EQ(slots->find("writer"), find("writer").slot);
    EXPECT_EQ(slots->find(find("writer").slot.hex().substr(0, 12)), find("writer").slot);
    EXPECT_EQ(code_of([&] { static_cast<void>(slots->find("pruner")); }), ErrorCode::not_found);
}

TEST_F(KeySlotsTest, RemovingDeletesSlotAndGrantsAndSaysWhatRemains) {
    const SlotId id = add(Role::read, 1, "reader");
    slots->rotate();
    const RemovedSlot removed = slots->remove(id);
    EXPECT_NE(removed.remains_readable.find("epoch 2"), std::string::npos);
    EXPECT_NE(removed.remains_readable.find("key rotate"), std::string::npos);
    for (const auto& [name, bytes] : store.objects) {
        EXPECT_EQ(name.find("keys/" + id.hex()), std::string::npos);
        EXPECT_EQ(name.find("grants/" + id.hex()), std::string::npos);
    }
    EXPECT_EQ(code_of([&] { open(1); }), ErrorCode::wrong_key);
    EXPECT_EQ(code_of([&] { slots->remove(admin->ring.slot()); }), ErrorCode::usage);
    EXPECT_EQ(code_of([&] { slots->remove(random.id<16>()); }), ErrorCode::not_found);
}

TEST_F(KeySlotsTest, RemovedPrivateKeyIsToldWhenItWasRemoved) {
    NewSlot agent;
    agent.label = "agent";
    agent.role = Role::write;
    agent.identity = public_identity(filled_secret(8));
    slots->remove(slots->add(agent));
    EXPECT_EQ(code_of([&] { unlock(store, Credential::private_key(key_file_of(8))); }),
              ErrorCode::access_denied);
}

TEST_F(KeySlotsTest, NewEpochIsUnreadableForARemovedHolder) {
    const SlotId id = add(Role::read, 1, "reader");
    const Unlocked reader = open(1);
    RunContext old_run = admin->ring.begin_run(random);
    slots->remove(id);
    // Before the rotation he can still derive what is written: removing alone does not help.
    RunContext between = admin->ring.begin_run(random);
    EXPECT_NO_THROW(reader.ring.content_secret_for(between.envelope()));
    EXPECT_EQ(slots->rotate(), 2U);
    RunContext new_run = admin->ring.begin_run(random);
    EXPECT_EQ(new_run.envelope().epoch, 2U);
    EXPECT_NO_THROW(reader.ring.content_secret_for(old_run.envelope()));
    EXPECT_EQ(code_of([&] { reader.ring.content_secret_for(new_run.envelope()); }), ErrorCode::wrong_key);
    EXPECT_EQ(code_of([&] { reader.ring.structure_secret_for(new_run.envelope()); }), ErrorCode::wrong_key);
    // Nor does any key that he has fit if the envelope lies about its epoch.
    Envelope lying = new_run.envelope();
    lying.epoch = 1;
    EXPECT_EQ(code_of([&] { reader.ring.content_secret_for(lying); }), ErrorCode::wrong_key);
    // No grant of the new epoch is there for him, and none of the others' opens.
    for (const auto& [name, bytes] : store.objects) {
        if (!name.starts_with(grants_prefix)) continue;
        const ObjectForm form = read_object_form(name, bytes);
        EXPECT_EQ(code_of([&] { open_grant(name, form.body, reader.ring.box_key()); }), ErrorCode::wrong_key);
    }
}

TEST_F(KeySlotsTest, RotationReachesEverySlotThatStays) {
    add(Role::read, 1, "reader");
    add(Role::write, 2, "writer");
    add(Role::prune, 3, "pruner");
    Unlocked long_running = open(2);
    RunContext before = long_running.ring.begin_run(random);
    EXPECT_EQ(slots->rotate(), 2U);
    for (const Byte key : {Byte{1}, Byte{2}, Byte{3}}) EXPECT_EQ(open(key).ring.newest_epoch(), 2U);
    EXPECT_EQ(unlock(store, recovery()).ring.newest_epoch(), 2U);
    EXPECT_EQ(long_running.ring.begin_run(random).envelope().epoch, 1U);
    refresh(store, long_running);
    RunContext after = long_running.ring.begin_run(random);
    EXPECT_EQ(after.envelope().epoch, 2U);
    const Unlocked reader = open(1);
    for (const RunContext* run : {&before, &after}) {
        EXPECT_TRUE(equal_constant_time(reader.ring.content_secret_for(run->envelope())->view(),
                                        run->content_secret().view()));
    }
}

TEST_F(KeySlotsTest, KilledRotationIsCompletedByTheNextOperation) {
    add(Role::write, 2, "writer");
    const auto before = store.objects;
    std::size_t grants = 0;
    for (std::size_t kill_at = 0; kill_at < 3; ++kill_at) {
        store.objects = before;
        *admin = unlock(store, passphrase());
        std::size_t writes = 0;
        store.before_write = [&](std::string_view, const std::string&) {
            if (writes++ == kill_at) throw Error(ErrorCode::unavailable, "killed");
        };
        EXPECT_EQ(code_of([&] { slots->rotate(); }), ErrorCode::unavailable);
        store.before_write = nullptr;
        // Everybody can still open it, and nobody who wrote meanwhile is unreadable to the others for good.
        Unlocked writer = open(2);
        RunContext run = writer.ring.begin_run(random);
        Unlocked again = unlock(store, passphrase());
        KeySlots next(store, clock, random, again);
        const std::uint32_t epoch = next.rotate();
        EXPECT_GE(epoch, 2U);
        EXPECT_EQ(open(2).ring.newest_epoch(), epoch);
        EXPECT_NO_THROW(again.ring.content_secret_for(run.envelope()));
        grants += next.complete();
    }
    EXPECT_EQ(grants, 0U);
}

TEST_F(KeySlotsTest, SlotWithoutGrantGetsItFromTheNextOperation) {
    store.before_write = [&](std::string_view, const std::string& name) {
        if (name.starts_with(grants_prefix)) throw Error(ErrorCode::unavailable, "killed");
    };
    EXPECT_EQ(code_of([&] { add(Role::write, 2, "writer"); }), ErrorCode::unavailable);
    store.before_write = nullptr;
    EXPECT_EQ(code_of([&] { open(2); }), ErrorCode::wrong_key);
    refresh(store, *admin);
    EXPECT_EQ(slots->complete(), 1U);
    EXPECT_EQ(open(2).ring.role(), Role::write);
}

TEST_F(KeySlotsTest, KilledRemovalIsCompletedByTheNextOne) {
    const SlotId id = add(Role::write, 2, "writer");
    store.before_write = [&](std::string_view verb, const std::string&) {
        if (verb == "remove") throw Error(ErrorCode::unavailable, "killed");
    };
    EXPECT_EQ(code_of([&] { slots->remove(id); }), ErrorCode::unavailable);
    store.before_write = nullptr;
    EXPECT_EQ(code_of([&] { open(2); }), ErrorCode::wrong_key) << "the revocation counts at once";
    slots->remove(id);
    EXPECT_FALSE(store.objects.contains(slot_name(id)));
}

TEST_F(KeySlotsTest, TwoRotationsAtOnceCannotBothSucceed) {
    Unlocked other = unlock(store, recovery());
    KeySlots by_other(store, clock, random, other);
    bool done = false;
    store.before_write = [&](std::string_view, const std::string& name) {
        if (done || !name.starts_with(grants_prefix)) return;
        done = true;
        EXPECT_EQ(by_other.rotate(), 2U);
    };
    EXPECT_EQ(code_of([&] { slots->rotate(); }), ErrorCode::already_exists);
    EXPECT_EQ(admin->ring.newest_epoch(), 1U);
    EXPECT_EQ(slots->rotate(), 3U);
    // The loser has the winner's epoch too: nothing written meanwhile is lost to it.
    RunContext run = other.ring.begin_run(random);
    EXPECT_EQ(run.envelope().epoch, 2U);
    EXPECT_NO_THROW(admin->ring.content_secret_for(run.envelope()));
}

TEST_F(KeySlotsTest, OlderGrantUnderANewerNumberDoesNotCount) {
    add(Role::write, 2, "writer");
    const SlotId writer = open(2).ring.slot();
    const Bytes old_grant = store.objects.at(grant_name(writer, 1));
    slots->rotate();
    store.objects[grant_name(writer, 3)] = old_grant;
    store.objects[grant_name(writer, 4)] = Bytes(10, 1);
    EXPECT_EQ(open(2).ring.newest_epoch(), 2U);
    EXPECT_EQ(slots->rotate(), 3U) << "junk under a high number does not use up epochs";
    EXPECT_EQ(open(2).ring.newest_epoch(), 3U);
}

TEST_F(KeySlotsTest, WithheldGrantIsNoticedByWhoRemembers) {
    add(Role::write, 2, "writer");
    const SlotId writer = open(2).ring.slot();
    slots->rotate();
    store.objects.erase(grant_name(writer, 2));
    EXPECT_EQ(open(2).ring.newest_epoch(), 1U) << "without memory nobody can tell";
    UnlockOptions remembering;
    remembering.least_epoch = 2;
    EXPECT_EQ(code_of([&] { open(2, remembering); }), ErrorCode::access_denied);
}

TEST_F(KeySlotsTest, GrantOfAnotherSlotDoesNotFit) {
    add(Role::write, 2, "writer");
    add(Role::read, 1, "reader");
    const SlotId writer = open(2).ring.slot();
    store.objects[grant_name(writer, 1)] = store.objects.at(grant_name(open(1).ring.slot(), 1));
    EXPECT_EQ(code_of([&] { open(2); }), ErrorCode::wrong_key);
}

// Somebody who can write to the store, and knows no key, replaces the whole repository by one of his own that
// has the victim's own slot in it, with its passphrase-wrapped seed, and a grant sealed to the victim's
// public key.
TEST_F(KeySlotsTest, RepositoryExchangedByTheStoreIsRefused) {
    const SlotRecord victim = *admin->trust.active(admin->ring.slot());
    MapStore hostile;
    InitOptions options;
    options.cost = cheap_cost;
    options.capabilities = hostile.capabilities();
    auto attacker =
        create_repository(hostile, clock, random, Credential::passphrase(text_secret("attacker")), options);
    SlotRecord planted = victim;
    planted.issuer = attacker.unlocked.ring.slot();
    const std::string name = slot_name(victim.slot);
    hostile.put(name, sign_object(ObjectKind::slot, name, write_slot(planted), attacker.unlocked.ring.slot(),
                                  attacker.unlocked.ring.signing_key()));
    const std::string grant = grant_name(victim.slot, 1);
    const Bytes body = seal_grant(attacker.unlocked.ring.full_grant(), grant, victim.box_public, random);
    hostile.put(grant, sign_object(ObjectKind::grant, grant, body, attacker.unlocked.ring.slot(),
                                   attacker.unlocked.ring.signing_key()));
    EXPECT_NE(Trust::load(hostile, attacker.unlocked.config).active(victim.slot), nullptr);
    EXPECT_EQ(code_of([&] { unlock(hostile, passphrase()); }), ErrorCode::access_denied);
}

TEST_F(KeySlotsTest, PinnedRootAndRepositoryAreCompared) {
    UnlockOptions options;
    options.root = admin->config.root;
    options.repository = admin->config.repository;
    EXPECT_NO_THROW(unlock(store, recovery(), options));
    options.root->bytes[0] ^= 1;
    EXPECT_EQ(code_of([&] { unlock(store, recovery(), options); }), ErrorCode::access_denied);
    options.root = admin->config.root;
    options.repository->bytes[0] ^= 1;
    EXPECT_EQ(code_of([&] { unlock(store, recovery(), options); }), ErrorCode::access_denied);
    Credential pinned = recovery();
    pinned.root = PublicKey{};
    EXPECT_EQ(code_of([&] { unlock(store, pinned); }), ErrorCode::access_denied);
}

TEST_F(KeySlotsTest, StoreWithoutPutIfAbsentIsServedToo) {
    MapStore plain;
    plain.has_put_if_absent = false;
    InitOptions options;
    options.cost = cheap_cost;
    options.capabilities = plain.capabilities();
    auto created = create_repository(plain, clock, random, passphrase(), options);
    KeySlots by_first(plain, clock, random, created.unlocked);
    const Credential file = Credential::key_file(key_file_of(2));
    NewSlot slot;
    slot.label = "writer";
    slot.role = Role::write;
    slot.credential = &file;
    const SlotId id = by_first.add(slot);
    EXPECT_EQ(by_first.rotate(), 2U);
    EXPECT_EQ(unlock(plain, file).ring.newest_epoch(), 2U);
    by_first.remove(id);
    EXPECT_EQ(code_of([&] { unlock(plain, file); }), ErrorCode::wrong_key);
}

TEST_F(KeySlotsTest, RemovedAdministratorIsStoppedAtHisNextOperation) {
    const SlotId second_id = add(Role::full, 2, "second");
    Unlocked second = open(2);
    KeySlots by_second(store, clock, random, second);
    slots->remove(second_id);
    EXPECT_EQ(code_of([&] { by_second.rotate(); }), ErrorCode::access_denied);
    EXPECT_EQ(code_of([&] { refresh(store, second); }), ErrorCode::access_denied);
}

} // namespace
} // namespace holdfast
