#include "repository/key_slots.h"

#include "base/error.h"
#include "repository/new_slot.h"
#include "repository/revocation.h"
#include "repository/signed_by.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

namespace holdfast {

namespace {

constexpr std::size_t secret_bytes = 32;

Secret random_secret(Random& random) {
    Secret secret(secret_bytes);
    random.fill(secret.mutable_view());
    return secret;
}

[[noreturn]] void fail_concurrent() {
    throw Error(ErrorCode::already_exists,
                "somebody else is changing the keys of this repository at this moment",
                "wait until that is done, then try again", true);
}

std::string remains_readable(Role role, std::uint32_t epoch) {
    const std::string rotate = " Run 'holdfast key rotate' now: until then, new data is encrypted under keys "
                               "that this holder has had.";
    switch (role) {
    case Role::full:
    case Role::read:
        return fmt::format(
                   "Whoever kept these keys and can read the store can read all that was written up to key "
                   "epoch {}, for ever; only deleting the data, or denying access to the store, helps.",
                   epoch) +
               rotate;
    case Role::prune:
        return fmt::format(
                   "Whoever kept these keys and can read the store can read names, sizes and times (never "
                   "content) of what was written up to key epoch {}.",
                   epoch) +
               rotate;
    case Role::write:
        return "This holder could never read content. Whoever kept its keys and can read the store can read "
               "the names "
               "in the snapshots that it made itself, and can tell whether a file that he has stands in its "
               "domain.";
    }
    return {};
}

} // namespace

KeySlots::KeySlots(Store& store, const Clock& clock, Random& random, Unlocked& unlocked, CallOptions options)
    : store_(store), clock_(clock), random_(random), unlocked_(unlocked), options_(std::move(options)) {
    static_cast<void>(unlocked_.ring.full_grant());
}

std::map<SlotId, std::uint32_t> KeySlots::granted_epochs() {
    std::map<SlotId, std::uint32_t> epochs;
    for (const SlotRecord* slot : unlocked_.trust.active_slots()) {
        const auto grant = newest_grant(store_, unlocked_.trust, slot->slot, options_);
        epochs[slot->slot] = grant ? grant->number : 0;
    }
    return epochs;
}

std::vector<SlotSummary> KeySlots::list() {
    refresh(store_, unlocked_, options_);
    std::vector<SlotSummary> slots;
    const auto epochs = granted_epochs();
    for (const SlotRecord* slot : unlocked_.trust.active_slots()) {
        slots.push_back({slot->slot, slot->label, slot->role, slot->domain, slot->kind, slot->created, false,
                         slot->slot == unlocked_.ring.slot(), epochs.at(slot->slot)});
    }
    for (const Revocation* removed : unlocked_.trust.revocations()) {
        slots.push_back({removed->slot, removed->label, removed->role, removed->domain, std::nullopt,
                         removed->time, true, removed->slot == unlocked_.ring.slot(), 0});
    }
    std::ranges::sort(slots, {}, [](const SlotSummary& slot) { return std::pair(slot.time, slot.slot); });
    return slots;
}

SlotId KeySlots::find(std::string_view text) const {
    std::set<SlotId> found;
    for (const SlotRecord* slot : unlocked_.trust.active_slots()) {
        if (slot->slot.hex() == text || slot->label == text ||
            (text.size() >= 4 && slot->slot.hex().starts_with(text))) {
            found.insert(slot->slot);
        }
    }
    if (found.size() == 1) return *found.begin();
    if (found.empty()) {
        throw Error(ErrorCode::not_found, fmt::format("there is no key slot \"{}\"", text),
                    "'holdfast key list' shows them all");
    }
    throw Error(ErrorCode::usage, fmt::format("\"{}\" fits {} key slots", text, found.size()), "give the id");
}

// True when the object stands in the store under this name; false when another one that counts does. Junk,
// which anybody who can write to the store could have put there to be in the way, is replaced.
bool KeySlots::put_signed(const std::string& name, ByteView object) {
    const bool if_absent = unlocked_.config.capabilities.put_if_absent;
    const PutOptions put{.only_if_absent = if_absent, .retention = {}, .tier = {}};
    if (!if_absent && !store_.head(name, options_))
        return store_.put(name, object, put, options_) == PutResult::stored;
    if (if_absent && store_.put(name, object, put, options_) == PutResult::stored) return true;
    const auto there = store_.get(name, {}, options_);
    if (there && std::ranges::equal(*there, object)) return true;
    if (there) {
        try {
            check_object(name, *there, unlocked_.trust);
            return false;
        } catch (const Error& error) {
            if (error.code() == ErrorCode::incompatible) throw;
        }
        store_.remove(name, options_);
    }
    return store_.put(name, object, put, options_) == PutResult::stored;
}

bool KeySlots::put_grant(const Grant& full, const SlotRecord& slot) {
    const std::string name = grant_name(slot.slot, full.newest_epoch);
    const Bytes body = seal_grant(cut_grant(full, slot.role, slot.domain), name, slot.box_public, random_);
    return put_signed(name, sign_object(ObjectKind::grant, name, body, unlocked_.ring.slot(),
                                        unlocked_.ring.signing_key()));
}

SlotId KeySlots::add(const NewSlot& slot) {
    refresh(store_, unlocked_, options_);
    complete();
    const SlotPlan plan{slot.label,
                        slot.role,
                        slot.domain,
                        slot.cost,
                        unlocked_.config.repository,
                        unlocked_.config.root,
                        unlocked_.ring.slot(),
                        clock_.now()};
    const SlotId id = random_.id<16>();
    SlotRecord record;
    if (slot.identity) {
        record = make_slot(id, plan, *slot.identity);
    } else if (slot.credential != nullptr) {
        const bool own_seed = slot.credential->kind == SlotKind::public_key;
        const Secret seed = own_seed ? slot.credential->secret.copy() : random_secret(random_);
        record = make_slot(id, plan, *slot.credential, seed, random_);
    } else {
        throw Error(ErrorCode::usage, "a new key slot needs a passphrase, a key file or a public identity");
    }
    for (const SlotRecord* other : unlocked_.trust.active_slots()) {
        if (other->signing_public != record.signing_public) continue;
        throw Error(ErrorCode::already_exists,
                    fmt::format("this key has the slot {} ({}) already", other->slot.hex(), other->label),
                    "use that slot, or make a new key");
    }
    const std::string name = slot_name(id);
    put_signed(name, sign_object(ObjectKind::slot, name, write_slot(record), unlocked_.ring.slot(),
                                 unlocked_.ring.signing_key()));
    if (!put_grant(unlocked_.ring.full_grant(), record)) fail_concurrent();
    refresh(store_, unlocked_, options_);
    return id;
}

std::size_t KeySlots::complete() {
    const auto epochs = granted_epochs();
    const std::uint32_t newest = unlocked_.ring.newest_epoch();
    std::size_t granted = 0;
    for (const auto& [slot, epoch] : epochs) {
        // Who has a newer epoch got it from a rotation that this holder was not part of; it is not ours to
        // undo.
        if (epoch >= newest) continue;
        if (put_grant(unlocked_.ring.full_grant(), *unlocked_.trust.active(slot))) ++granted;
    }
    return granted;
}

std::uint32_t KeySlots::rotate() {
    refresh(store_, unlocked_, options_);
    std::uint32_t newest = unlocked_.ring.newest_epoch();
    for (const auto& [slot, epoch] : granted_epochs()) newest = std::max(newest, epoch);
    if (newest == UINT32_MAX) throw Error(ErrorCode::internal, "the epochs of the keys are used up");
    Grant full = unlocked_.ring.full_grant().copy();
    full.newest_epoch = newest + 1;
    full.structure.insert_or_assign(full.newest_epoch, random_secret(random_));
    full.content.insert_or_assign(full.newest_epoch, random_secret(random_));
    // Full slots first, and in one order for everybody: the first name decides between two who rotate at
    // once, and whoever has a grant of the new epoch can complete what was left undone.
    std::vector<const SlotRecord*> slots = unlocked_.trust.active_slots();
    std::ranges::sort(slots, {},
                      [](const SlotRecord* slot) { return std::pair(slot->role != Role::full, slot->slot); });
    for (const SlotRecord* slot : slots) {
        if (!put_grant(full, *slot)) fail_concurrent();
    }
    unlocked_.ring.replace_grant(std::move(full));
    return unlocked_.ring.newest_epoch();
}

void KeySlots::delete_slot(const SlotId& slot) {
    store_.remove(slot_name(slot), options_);
    for (const ObjectInfo& grant : store_.list_all(std::string(grants_prefix) + slot.hex() + "-", options_)) {
        store_.remove(grant.name, options_);
    }
}

RemovedSlot KeySlots::remove(const SlotId& slot, const RemoveOptions& options) {
    refresh(store_, unlocked_, options_);
    complete();
    if (slot == unlocked_.ring.slot()) {
        throw Error(ErrorCode::usage, "a key slot cannot remove itself",
                    "unlock with another slot of role full");
    }
    if (const Revocation* removed = unlocked_.trust.revocation(slot)) {
        // Killed before its objects were deleted, or put back by somebody.
        delete_slot(slot);
        return {slot, removed->label, removed->role, removed->runs.size(),
                remains_readable(removed->role, unlocked_.ring.newest_epoch())};
    }
    const SlotRecord* record = unlocked_.trust.active(slot);
    if (record == nullptr) {
        throw Error(ErrorCode::not_found, "there is no key slot " + slot.hex(),
                    "'holdfast key list' shows them all");
    }
    SignedObjects left = signed_by(store_, unlocked_.trust, slot, options_);
    Revocation revocation{
        slot,         record->label,        record->role,           record->domain, record->signing_public,
        clock_.now(), std::move(left.runs), std::move(left.objects)};
    for (const RunId& run : options.distrusted) {
        revocation.runs.erase(run);
        revocation.objects.erase(commit_name(run));
    }
    const std::string name = revocation_name(slot);
    const RemovedSlot result{slot, record->label, record->role, revocation.runs.size(),
                             remains_readable(record->role, unlocked_.ring.newest_epoch())};
    if (!put_signed(name, sign_object(ObjectKind::revocation, name, write_revocation(revocation),
                                      unlocked_.ring.slot(), unlocked_.ring.signing_key()))) {
        fail_concurrent();
    }
    delete_slot(slot);
    refresh(store_, unlocked_, options_);
    return result;
}

} // namespace holdfast
