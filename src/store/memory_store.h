// A store in memory, for tests and simulations. Everything a store may be able to do can be switched on or
// off.
#pragma once

#include "store/store.h"

#include <map>
#include <mutex>

namespace holdfast {

struct MemoryStoreSettings {
    // By default it can do everything, in one tier. Without put_if_absent, a put with only_if_absent is an
    // Error(unsupported). With tiers, an object in any but the first one is cold until it is thawed.
    StoreCapabilities capabilities = {.put_if_absent = true,
                                      .consistent = true,
                                      .object_lock = true,
                                      .versions = true,
                                      .server_copy = true,

                                      .largest_object_bytes = UINT64_MAX};
    // How many times thaw answers `pending` for an object before it is ready.
    unsigned pending_thaws = 1;
    // For modification times and for retention. Must outlive the store.
    Clock* clock = &system_clock();
};

// Thread-safe. Callbacks of listings run without the lock held and may call the store.
class MemoryStore final : public Store {
  public:
    explicit MemoryStore(MemoryStoreSettings settings = {});

    using Store::put;
    std::string url() const override;
    StoreCapabilities capabilities() const override;
    PutResult put(const std::string& name, std::span<const ByteView> parts, const PutOptions& put_options,
                  const CallOptions& options) override;
    std::optional<Bytes> get(const std::string& name, ByteRange range, const CallOptions& options) override;
    std::optional<ObjectInfo> head(const std::string& name, const CallOptions& options) override;
    void list(const std::string& prefix, const std::string& after,
              const std::function<bool(const ObjectInfo&)>& visit, const CallOptions& options) override;
    // With versions the object gets a delete marker, locked or not, as in S3; without, a locked one is
    // refused.
    void remove(const std::string& name, const CallOptions& options) override;
    void retain(const std::string& name, const Retention& retention, const CallOptions& options) override;
    std::optional<Retention> retention(const std::string& name, const CallOptions& options) override;
    void list_versions(const std::string& prefix, const std::function<bool(const ObjectVersion&)>& visit,
                       const CallOptions& options) override;
    std::optional<Bytes> get_version(const std::string& name, const std::string& version, ByteRange range,
                                     const CallOptions& options) override;
    void remove_version(const std::string& name, const std::string& version,
                        const CallOptions& options) override;
    void set_tier(const std::string& name, const std::string& tier, const CallOptions& options) override;
    ThawResult thaw(const std::string& name, Duration keep, const CallOptions& options) override;
    PutResult copy(const std::string& from, const std::string& to, const PutOptions& put_options,
                   const CallOptions& options) override;

    // For tests: replaces the bytes of an object behind everyone's back. Error(not_found) when there is none.
    void corrupt(const std::string& name, Bytes data);

  private:
    struct Version {
        std::shared_ptr<const Bytes> data; // null for a delete marker
        ObjectInfo info;
        std::string version;
        std::optional<Retention> retention;
        unsigned thaws = 0;
    };
    using Versions = std::vector<Version>; // oldest first, never empty

    Version* latest(const std::string& name);
    Version& existing(const std::string& name);
    Version make_version(const std::string& name, std::shared_ptr<const Bytes> data);
    PutResult store(const std::string& name, std::shared_ptr<const Bytes> data,
                    const PutOptions& put_options);
    bool locked(const Version& version) const;
    bool cold(const Version& version) const;
    Bytes read(const Version& version, ByteRange range) const;
    void require(bool capability, std::string_view what) const;

    const MemoryStoreSettings settings_;
    mutable std::mutex mutex_;
    std::map<std::string, Versions> objects_;
    std::uint64_t next_version_ = 1;
};

} // namespace holdfast
