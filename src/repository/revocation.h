// The end of a slot, and what it wrote that still counts (docs/format.md, section 4).
#pragma once

#include "base/clock.h"
#include "crypto/sign.h"
#include "repository/ids.h"
#include "repository/object.h"
#include "repository/slot.h"

#include <map>
#include <set>
#include <string>
#include <string_view>

namespace holdfast {

struct Revocation {
    // What is needed of the removed slot to check what it signed: its own object is deleted.
    SlotId slot;
    std::string label;
    Role role = Role::read;
    std::string domain;
    PublicKey signing_public;
    Timestamp time{}; // when it was removed, for people; decides nothing
    // Runs whose packs, index segments, intents, checkpoints and condemned lists count.
    std::set<RunId> runs;
    // Everything else of that slot that counts, each by name and digest.
    std::map<std::string, ObjectDigest, std::less<>> objects;

    // Whether this object of the slot counts still.
    bool counts(ObjectKind kind, std::string_view name, const RunId& run, const ObjectDigest& digest) const;
};

// Whether an object of this kind counts with its run, rather than by its digest.
bool counts_by_run(ObjectKind kind);

Bytes write_revocation(const Revocation& revocation);
// Throws Error(corrupt).
Revocation read_revocation(std::string_view name, ByteView body);

} // namespace holdfast
