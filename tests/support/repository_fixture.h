// A repository in memory with a holder of each role, for tests of what each can and cannot do.
#pragma once

#include "base/clock.h"
#include "base/random.h"
#include "repository/key_slots.h"
#include "support/map_store.h"

#include <memory>
#include <string>
#include <string_view>

#include <gtest/gtest.h>

namespace holdfast {

// Keeps entries in memory, and can be lost.
class MapRunSecretCache final : public RunSecretCache {
  public:
    std::map<RunId, Bytes> entries;
    void put(const RunId& run, ByteView sealed) override {
        entries[run] = Bytes(sealed.begin(), sealed.end());
    }
    std::optional<Bytes> get(const RunId& run) override {
        const auto found = entries.find(run);
        return found != entries.end() ? std::optional(found->second) : std::nullopt;
    }
    void remove(const RunId& run) override { entries.erase(run); }
    std::vector<RunId> runs() override {
        std::vector<RunId> all;
        for (const auto& [run, sealed] : entries) all.push_back(run);
        return all;
    }
};

inline Secret text_secret(std::string_view text) { return Secret::copy_of(as_bytes(text)); }
inline Secret filled_secret(Byte value) { return Secret::copy_of(Bytes(32, value)); }
inline KeyFile key_file_of(Byte value) { return {filled_secret(value), std::nullopt, false}; }

// The least that Argon2id can cost here: tests are not about its strength.
constexpr Argon2Cost cheap_cost{8192, 1};

class RepositoryTest : public testing::Test {
  protected:
    CreatedRepository create() {
        InitOptions options;
        options.cost = cheap_cost;
        options.capabilities = store.capabilities();
        return create_repository(store, clock, random, passphrase(), options);
    }

    Credential passphrase() const { return Credential::passphrase(text_secret("open sesame")); }

    // Adds a slot that opens with a key file of 32 bytes `key`.
    SlotId add(Role role, Byte key, const std::string& label, const std::string& domain = "default") {
        const Credential credential = Credential::key_file(key_file_of(key));
        NewSlot slot;
        slot.label = label;
        slot.role = role;
        slot.domain = domain;
        slot.credential = &credential;
        return slots->add(slot);
    }
    Unlocked open(Byte key, UnlockOptions options = {}) {
        return unlock(store, Credential::key_file(key_file_of(key)), options);
    }

    // A commit of a run of this holder, in the store; returns its name.
    std::string put_commit(RunContext& run, std::string_view text = R"({"source":"home"})") {
        const std::string name = commit_name(run.id());
        store.put(name, seal_object(ObjectKind::commit, name, as_bytes(text), run));
        return name;
    }
    OpenedObject open_stored(const std::string& name, const Unlocked& holder) {
        return open_object(name, store.objects.at(name), holder.ring, holder.trust);
    }

    MapStore store;
    FakeClock clock{from_rfc3339("2026-11-20T10:00:00Z")};
    SeededRandom random{7};
    CreatedRepository created_ = create();
    const std::string recovery_text = created_.recovery_text;
    // `slots` works with what it points to: to unlock anew, assign to *admin. It cannot be pointed elsewhere.
    const std::unique_ptr<Unlocked> admin = std::make_unique<Unlocked>(std::move(created_.unlocked));
    const std::unique_ptr<KeySlots> slots = std::make_unique<KeySlots>(store, clock, random, *admin);
};

// Runs `body`, which must throw an Error; returns its code.
template <typename Body>
ErrorCode code_of(Body&& body) {
    try {
        body();
    } catch (const Error& error) {
        EXPECT_FALSE(error.message().empty());
        return error.code();
    }
    ADD_FAILURE() << "nothing was thrown";
    return ErrorCode::internal;
}

} // namespace holdfast
