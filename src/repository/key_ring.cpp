#include "repository/key_ring.h"

#include "base/error.h"
#include "crypto/aead.h"
#include "crypto/hash.h"

#include <mutex>
#include <unordered_map>

#include <fmt/format.h>

namespace holdfast {

namespace {

// Each secret takes a locked page of its own; a thousand stay below the usual limit of locked memory.
constexpr std::size_t cached_runs_limit = 1000;

// Secrets of runs that were opened already. When it is full it starts anew: opening again is cheap.
class OpenedRuns {
  public:
    std::shared_ptr<const Secret> find(const RunId& run) {
        const std::scoped_lock lock(mutex_);
        const auto found = secrets_.find(run);
        return found != secrets_.end() ? found->second : nullptr;
    }
    std::shared_ptr<const Secret> keep(const RunId& run, Secret secret) {
        const std::scoped_lock lock(mutex_);
        if (secrets_.size() >= cached_runs_limit) secrets_.clear();
        return secrets_.insert_or_assign(run, std::make_shared<const Secret>(std::move(secret)))
            .first->second;
    }
    void remove(const RunId& run) {
        const std::scoped_lock lock(mutex_);
        secrets_.erase(run);
    }

  private:
    std::mutex mutex_;
    std::unordered_map<RunId, std::shared_ptr<const Secret>, FixedBytesHash> secrets_;
};

Secret cache_key(const Secret& seed) {
    return hkdf_expand(seed.view(), as_bytes("holdfast run secret cache"));
}

} // namespace

struct KeyRing::State {
    SlotId slot;
    BoxKey box_key;
    Grant grant;
    std::shared_ptr<const SigningKey> signing_key;
    Secret cache_key; // for what lies in the cache: a copy of its directory alone gives nothing away
    std::shared_ptr<RunSecretCache> cache;
    OpenedRuns structure, content;

    Secret entry_key(const RunId& run) const { return hkdf_expand(cache_key.view(), run.view()); }

    const Secret& epoch_secret(const EpochSecrets& secrets, const Envelope& envelope,
                               std::string_view purpose) const {
        if (const auto found = secrets.find(envelope.epoch); found != secrets.end()) return found->second;
        const std::string run = envelope.run().hex();
        if (envelope.epoch > grant.newest_epoch) {
            throw Error(
                ErrorCode::wrong_key,
                fmt::format("run {} was written under epoch {}, and this key slot knows only up to {}", run,
                            envelope.epoch, grant.newest_epoch),
                "the keys were rotated and this slot was removed or has not got them yet, or the store "
                "withholds its newest grant: ask an administrator to run 'holdfast key rotate'");
        }
        throw Error(ErrorCode::wrong_key,
                    fmt::format("a key slot of role {} has no {} key of epoch {}, which run {} needs",
                                to_string(grant.role), purpose, envelope.epoch, run),
                    "use a key slot of role full or read");
    }

    Secret cached_secret(const Envelope& envelope) const;
};

// What a write-only holder kept of its own run.
Secret KeyRing::State::cached_secret(const Envelope& envelope) const {
    const RunId run = envelope.run();
    const auto sealed = cache ? cache->get(run) : std::nullopt;
    if (!sealed) {
        throw Error(
            ErrorCode::wrong_key,
            fmt::format("run {} is not one that this write-only key slot has in its local cache", run.hex()),
            "it belongs to another holder, or the cache was lost: then the next backup reads its sources "
            "again");
    }
    Secret secret(32);
    if (sealed->size() != secret.size() + aead_tag_bytes ||
        !Aead(entry_key(run).view()).open(0, run.view(), *sealed, secret.mutable_view()) ||
        !matches_commitment(envelope, Purpose::structure, secret.view())) {
        throw Error(ErrorCode::wrong_key,
                    fmt::format("the local cache has damaged keys of run {}", run.hex()),
                    "delete the cache: the next backup reads its sources again");
    }
    return secret;
}

KeyRing::KeyRing(SlotId slot, const Secret& seed, Grant grant, std::shared_ptr<RunSecretCache> cache)
    : state_(std::make_unique<State>(slot, slot_box_key(seed), std::move(grant),
                                     std::make_shared<const SigningKey>(slot_signing_key(seed)),
                                     cache_key(seed), std::move(cache))) {}

KeyRing::KeyRing(KeyRing&&) noexcept = default;
KeyRing& KeyRing::operator=(KeyRing&&) noexcept = default;
KeyRing::~KeyRing() = default;

const SlotId& KeyRing::slot() const { return state_->slot; }
Role KeyRing::role() const { return state_->grant.role; }
const std::string& KeyRing::domain() const { return state_->grant.domain; }
const RepositoryId& KeyRing::repository() const { return state_->grant.repository; }
const PublicKey& KeyRing::root() const { return state_->grant.root; }
std::uint32_t KeyRing::newest_epoch() const { return state_->grant.newest_epoch; }
const SigningKey& KeyRing::signing_key() const { return *state_->signing_key; }
bool KeyRing::reads_structure() const { return !state_->grant.structure.empty(); }
bool KeyRing::reads_content() const { return !state_->grant.content.empty(); }

Secret KeyRing::identity_key_of(std::string_view domain) const {
    const Grant& grant = state_->grant;
    if (grant.identity_scope == IdentityScope::master)
        return domain_identity_key(grant.identity.view(), domain);
    if (grant.identity_scope == IdentityScope::domain && domain == grant.domain) return grant.identity.copy();
    throw Error(
        ErrorCode::wrong_key,
        fmt::format("a key slot of role {} has no identity key of domain {}", to_string(grant.role), domain),
        "use a key slot of role full or read, or the write slot of that domain");
}

std::shared_ptr<const Secret> KeyRing::structure_secret_for(const Envelope& envelope) const {
    const RunId run = envelope.run();
    if (auto known = state_->structure.find(run)) return known;
    if (!reads_structure()) return state_->structure.keep(run, state_->cached_secret(envelope));
    const Secret& epoch_secret = state_->epoch_secret(state_->grant.structure, envelope, "structure");
    return state_->structure.keep(run, open_envelope(envelope, Purpose::structure, epoch_secret.view()));
}

std::shared_ptr<const Secret> KeyRing::content_secret_for(const Envelope& envelope) const {
    const RunId run = envelope.run();
    if (auto known = state_->content.find(run)) return known;
    const Secret& epoch_secret = state_->epoch_secret(state_->grant.content, envelope, "content");
    return state_->content.keep(run, open_envelope(envelope, Purpose::content, epoch_secret.view()));
}

RunContext KeyRing::begin_run(Random& random) const {
    const Grant& grant = state_->grant;
    const std::uint32_t epoch = grant.newest_epoch;
    RunSecrets secrets;
    if (grant.public_keys) {
        secrets = draw_sealed_run(epoch, grant.public_keys->structure, grant.public_keys->content, random);
        const RunId run = secrets.envelope.run();
        if (state_->cache) {
            Aead aead(state_->entry_key(run).view());
            state_->cache->put(run, aead.seal(0, run.view(), secrets.structure.view()));
        }
        state_->structure.keep(run, secrets.structure.copy());
    } else if (grant.content.empty()) {
        secrets = draw_structure_only_run(epoch, grant.structure.at(epoch).view(), random);
    } else {
        secrets = draw_symmetric_run(epoch, grant.structure.at(epoch).view(), grant.content.at(epoch).view(),
                                     random);
    }
    return RunContext(state_->slot, state_->signing_key, std::move(secrets));
}

RunContext KeyRing::begin_structure_only_run(Random& random) const {
    const Grant& grant = state_->grant;
    if (!reads_structure()) {
        throw Error(ErrorCode::wrong_key,
                    fmt::format("a key slot of role {} has no structure secrets", to_string(grant.role)),
                    "use a key slot of role full or prune");
    }
    const std::uint32_t epoch = grant.newest_epoch;
    return RunContext(state_->slot, state_->signing_key,
                      draw_structure_only_run(epoch, grant.structure.at(epoch).view(), random));
}

void KeyRing::forget_run(const RunId& run) const {
    state_->structure.remove(run);
    if (state_->cache) state_->cache->remove(run);
}

const Grant& KeyRing::full_grant() const {
    if (state_->grant.role == Role::full) return state_->grant;
    throw Error(ErrorCode::access_denied,
                fmt::format("a key slot of role {} cannot manage keys", to_string(state_->grant.role)),
                "unlock the repository with a key slot of role full");
}

const BoxKey& KeyRing::box_key() const { return state_->box_key; }

void KeyRing::replace_grant(Grant grant) { state_->grant = std::move(grant); }

} // namespace holdfast
