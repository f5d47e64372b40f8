// Creating a repository, and changing who holds keys to it.
#pragma once

#include "base/clock.h"
#include "base/random.h"
#include "repository/slot.h"
#include "repository/unlock.h"
#include "store/store.h"

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace holdfast {

struct InitOptions {
    std::string label = "first";
    std::string domain = "default";
    Argon2Cost cost;
    bool recovery_key = true;
    StoreCapabilities capabilities; // as probed
    std::uint64_t pack_bytes = default_pack_bytes;
    std::map<std::uint8_t, std::string> classes{{std::uint8_t{0}, "default"}};
    std::shared_ptr<RunSecretCache> cache;
    CallOptions call;
};

struct CreatedRepository {
    Unlocked unlocked;
    // To be shown once and kept on paper; empty when none was asked for. Opens the repository wherever a key
    // file does.
    std::string recovery_text;
};

// Creates a repository whose first slot, of role full, opens with `credential`. Writes slots and grants, and
// `config` last: that makes it a repository. Throws Error(already_exists) when there is one; then nothing of
// this attempt is left behind.
CreatedRepository create_repository(Store& store, const Clock& clock, Random& random,
                                    const Credential& credential, const InitOptions& options = {});

struct NewSlot {
    std::string label;
    Role role = Role::read;
    std::string domain = "default";
    // Either what the new holder will unlock with (a passphrase or key file; of a private key only the
    // identity is used),
    const Credential* credential = nullptr;
    // or his public identity, whose private key stays with him.
    std::optional<PublicIdentity> identity;
    Argon2Cost cost;
};

struct SlotSummary {
    SlotId slot;
    std::string label;
    Role role = Role::read;
    std::string domain;
    std::optional<SlotKind> kind; // unknown of a removed slot
    Timestamp time{};             // created, or removed
    bool removed = false;
    bool own = false;               // the one that is unlocked here
    std::uint32_t newest_epoch = 0; // of its grant; 0: it has none
};

struct RemovedSlot {
    SlotId slot;
    std::string label;
    Role role = Role::read;
    // Runs that count still.
    std::size_t runs = 0;
    // What its holder can read still if he kept a copy of his keys, and what to do: sentences for people.
    std::string remains_readable;
};

struct RemoveOptions {
    // Runs that shall not count although the slot wrote them before it was removed: its snapshots, if it was
    // misused.
    std::set<RunId> distrusted;
};

// Changes slots with the keys of `unlocked`, whose role must be full, and keeps it current. Administrators
// take turns: where the store has put-if-absent, two at a time cannot both succeed. An operation that was
// killed is completed by the next one. Not thread-safe.
class KeySlots {
  public:
    // Everything must outlive this. Throws Error(access_denied) unless the role is full.
    KeySlots(Store& store, const Clock& clock, Random& random, Unlocked& unlocked, CallOptions options = {});

    std::vector<SlotSummary> list();
    SlotId add(const NewSlot& slot);
    // The slot's id, label or an unambiguous beginning of its id. Throws Error(not_found, usage).
    SlotId find(std::string_view text) const;
    // Stop its holder first: what it writes while this runs may not count. Removing does not rotate; what the
    // holder could read, he can read until rotate() for new data, and for ever for old data.
    RemovedSlot remove(const SlotId& slot, const RemoveOptions& options = {});
    // Makes a new epoch and grants it to every slot that stays. Returns it.
    std::uint32_t rotate();
    // Grants the newest epoch to slots that lack it, because an operation was killed. Returns how many there
    // were.
    std::size_t complete();

  private:
    std::map<SlotId, std::uint32_t> granted_epochs();
    bool put_signed(const std::string& name, ByteView object);
    bool put_grant(const Grant& full, const SlotRecord& slot);
    void delete_slot(const SlotId& slot);

    Store& store_;
    const Clock& clock_;
    Random& random_;
    Unlocked& unlocked_;
    CallOptions options_;
};

} // namespace holdfast
