#include "base/error.h"
#include "repository/key_slots.h"
#include "repository/new_slot.h"

namespace holdfast {

namespace {

constexpr std::size_t secret_bytes = 32;
constexpr std::uint32_t first_epoch = 1;

Secret random_secret(Random& random) {
    Secret secret(secret_bytes);
    random.fill(secret.mutable_view());
    return secret;
}

Grant first_grant(const RepositoryConfig& config, const std::string& domain, Random& random) {
    Grant grant;
    grant.repository = config.repository;
    grant.root = config.root;
    grant.role = Role::full;
    grant.domain = domain;
    grant.newest_epoch = first_epoch;
    grant.identity_scope = IdentityScope::master;
    grant.identity = random_secret(random);
    grant.structure.emplace(first_epoch, random_secret(random));
    grant.content.emplace(first_epoch, random_secret(random));
    return grant;
}

// Puts objects, and takes them away again when the attempt fails.
class Attempt {
  public:
    Attempt(Store& store, const CallOptions& options) : store_(store), options_(options) {}
    Attempt(const Attempt&) = delete;
    Attempt& operator=(const Attempt&) = delete;
    ~Attempt() {
        if (!stays_) undo();
    }
    void put(const std::string& name, ByteView object) {
        names_.push_back(name);
        store_.put(name, object, {}, options_);
    }
    // Nothing is taken away any more, whatever happens.
    void stay() { stays_ = true; }
    void undo() noexcept {
        try {
            for (const std::string& name : names_) store_.remove(name, options_);
        } catch (const std::exception&) {
            // Nothing refers to what is left, and no slot of it leads to the root of another repository.
        }
    }

  private:
    Store& store_;
    CallOptions options_;
    std::vector<std::string> names_;
    bool stays_ = false;
};

[[noreturn]] void fail_exists(const Store& store) {
    throw Error(ErrorCode::already_exists, "there is a repository at " + store.url() + " already",
                "use it, or choose another address");
}

} // namespace

CreatedRepository create_repository(Store& store, const Clock& clock, Random& random,
                                    const Credential& credential, const InitOptions& options) {
    if (store.head(std::string(config_name), options.call)) fail_exists(store);
    const Secret seed =
        credential.kind == SlotKind::public_key ? credential.secret.copy() : random_secret(random);
    const SigningKey root_key = slot_signing_key(seed);
    RepositoryConfig config;
    config.repository = random.id<16>();
    config.created = clock.now();
    config.root_slot = random.id<16>();
    config.root = root_key.public_key();
    config.capabilities = options.capabilities;
    config.pack_bytes = options.pack_bytes;
    config.classes = options.classes;

    Attempt attempt(store, options.call);
    Grant full = first_grant(config, options.domain, random);
    SlotPlan plan{options.label,     Role::full,  options.domain,   options.cost,
                  config.repository, config.root, config.root_slot, config.created};
    const auto put_slot = [&](const SlotRecord& record) {
        const std::string name = slot_name(record.slot);
        attempt.put(name,
                    sign_object(ObjectKind::slot, name, write_slot(record), config.root_slot, root_key));
        const std::string grant = grant_name(record.slot, first_epoch);
        const Bytes body = seal_grant(full, grant, record.box_public, random);
        attempt.put(grant, sign_object(ObjectKind::grant, grant, body, config.root_slot, root_key));
    };
    put_slot(make_slot(config.root_slot, plan, credential, seed, random));

    std::string recovery_text;
    if (options.recovery_key) {
        const Credential recovery{SlotKind::key_file, random_secret(random), std::nullopt};
        plan.label = "recovery key";
        put_slot(make_slot(random.id<16>(), plan, recovery, random_secret(random), random));
        recovery_text = to_recovery_text(recovery.secret);
    }

    const Bytes object = write_config(config, root_key);
    const PutOptions if_absent{
        .only_if_absent = options.capabilities.put_if_absent, .retention = {}, .tier = {}};
    // From here on the repository may exist although the put fails: an answer can be lost.
    attempt.stay();
    if (store.put(std::string(config_name), object, if_absent, options.call) == PutResult::already_there) {
        const auto there = store.get(std::string(config_name), {}, options.call);
        if (!there || *there != object) {
            attempt.undo();
            fail_exists(store);
        }
    }
    Trust trust = Trust::load(store, config, options.call);
    KeyRing ring(config.root_slot, seed, std::move(full), options.cache);
    return {Unlocked{std::move(config), std::move(trust), std::move(ring)}, std::move(recovery_text)};
}

} // namespace holdfast
