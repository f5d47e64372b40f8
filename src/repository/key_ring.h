// What the holder of a slot has once it is unlocked.
#pragma once

#include "base/secret.h"
#include "crypto/sign.h"
#include "repository/envelope.h"
#include "repository/grant.h"
#include "repository/ids.h"
#include "repository/run_context.h"
#include "repository/run_secret_cache.h"
#include "repository/slot.h"

#include <memory>
#include <string>
#include <string_view>

namespace holdfast {

class Random;

// Owns the keys; they are wiped with it. Thread-safe but for being moved.
class KeyRing {
  public:
    // `cache` keeps the structure secrets of a write-only holder's runs; it may be null, and other roles do
    // not need it.
    KeyRing(SlotId slot, const Secret& seed, Grant grant, std::shared_ptr<RunSecretCache> cache = nullptr);
    KeyRing(KeyRing&&) noexcept;
    KeyRing& operator=(KeyRing&&) noexcept;
    ~KeyRing();

    const SlotId& slot() const;
    Role role() const;
    const std::string& domain() const;
    const RepositoryId& repository() const;
    const PublicKey& root() const;
    std::uint32_t newest_epoch() const;
    const SigningKey& signing_key() const;

    // Whether this holder can read what others wrote: their structure, their content.
    bool reads_structure() const;
    bool reads_content() const;

    // The identity key of this holder's own domain, 32 bytes; with the master key, that of any. Throws
    // Error(wrong_key) when the holder has it not.
    Secret identity_key() const { return identity_key_of(domain()); }
    Secret identity_key_of(std::string_view domain) const;

    // The secrets of a run from its envelope, checked against its commitments; the last thousand are kept.
    // Throws Error(wrong_key) that says why this holder has them not: its role, a removed cache, an epoch it
    // was not given.
    std::shared_ptr<const Secret> structure_secret_for(const Envelope& envelope) const;
    std::shared_ptr<const Secret> content_secret_for(const Envelope& envelope) const;

    // Draws the secrets of a new run. A write-only holder keeps the structure secret in its cache, durably,
    // before this returns.
    RunContext begin_run(Random& random) const;
    // A run without a content secret, whatever this holder has: for claims that nobody is to believe unread
    // (docs/format.md, section 8). Throws Error(wrong_key) when he has no structure secrets.
    RunContext begin_structure_only_run(Random& random) const;
    // Removes the structure secret of a run from the cache: when its snapshot was forgotten.
    void forget_run(const RunId& run) const;

    // All keys, to grant some of them to others. Throws Error(access_denied) unless the role is full.
    const Grant& full_grant() const;
    // What grants of this slot are sealed to.
    const BoxKey& box_key() const;
    // Takes a newer grant of the same slot, after a rotation. Not thread-safe.
    void replace_grant(Grant grant);

  private:
    struct State;
    std::unique_ptr<State> state_;
};

} // namespace holdfast
