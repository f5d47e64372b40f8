// The interface of every object store, and what a store can say about itself.
//
// A store holds immutable objects under names: nothing here overwrites. Names are made of the segments of our
// own format ([A-Za-z0-9._-], separated by '/'), are relative to the store's URL, and are at most 512 bytes
// long.
//
// Ordinary outcomes are return values: an object that is not there, a name that is taken. Everything else is
// an Error whose retryable() tells the retry decorator whether the same call may succeed later. Every call
// may have happened although it threw: an answer can be lost.
//
// Stores are thread-safe. Each call carries its own deadline; decorators (retry, throttle, metrics, faults)
// wrap a store and are stores themselves.
#pragma once

#include "base/bytes.h"
#include "base/clock.h"

#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

namespace holdfast {

// Conditions of one call.
struct CallOptions {
    // How long the whole call may take, retries not included; zero means the store's default.
    Duration timeout{};
    std::stop_token stop{};
};

// What a store can do. Found by probing when a repository is created, then written down in it.
struct StoreCapabilities {
    // put with `only_if_absent` is refused by the store itself when the name is taken, also when two race.
    bool put_if_absent = false;
    // A read or a listing that starts after a write ended shows it.
    bool consistent = false;
    bool object_lock = false;
    bool versions = false;
    bool server_copy = false;
    // Names of storage tiers, warmest first; empty when there is one only.
    std::vector<std::string> tiers{};
    // The largest object that put takes.
    std::uint64_t largest_object_bytes = 0;
};

enum class RetentionMode { governance, compliance };

struct Retention {
    RetentionMode mode = RetentionMode::governance;
    Timestamp until{};
};

struct PutOptions {
    bool only_if_absent = false;
    std::optional<Retention> retention{};
    std::string tier{}; // empty: the store's default
};

enum class PutResult { stored, already_there };

struct ObjectInfo {
    std::string name;
    std::uint64_t size_bytes = 0;
    // By the store's own clock.
    Timestamp modified{};
    // Opaque: equal tokens mean equal content. For conditions and for caches.
    std::string token{};
    std::string tier{};
};

struct ObjectVersion {
    ObjectInfo object;
    std::string version; // opaque
    bool latest = false;
    bool deleted = false; // a delete marker
};

struct ByteRange {
    std::uint64_t offset = 0;
    // How many bytes; fewer come back when the object ends before. The default asks for all up to the end.
    std::uint64_t length = UINT64_MAX;
};

// Asking a cold object back is a request that is answered later.
enum class ThawResult { ready, pending };

class Store {
  public:
    virtual ~Store() = default;

    // A URL without secrets, for messages.
    virtual std::string url() const = 0;
    virtual StoreCapabilities capabilities() const = 0;

    // Stores `parts`, one behind the other, as one object; durable when it returns. With only_if_absent a
    // taken name is left as it is and reported. Without it, storing again under a taken name is allowed only
    // with equal bytes (a repeated call); stores need not check that.
    virtual PutResult put(const std::string& name, std::span<const ByteView> parts,
                          const PutOptions& put_options, const CallOptions& options) = 0;
    // The bytes of `range`, or nothing when there is no such object. An object in a cold tier is an Error
    // (unavailable, not retryable) whose hint says how to thaw it.
    virtual std::optional<Bytes> get(const std::string& name, ByteRange range,
                                     const CallOptions& options) = 0;
    virtual std::optional<ObjectInfo> head(const std::string& name, const CallOptions& options) = 0;
    // Calls `visit` for every object whose name begins with `prefix` and is greater than `after` (bytewise),
    // in bytewise order of names, until it returns false.
    virtual void list(const std::string& prefix, const std::string& after,
                      const std::function<bool(const ObjectInfo&)>& visit, const CallOptions& options) = 0;
    // Removes the object; an absent one is no error. A locked one is an Error(access_denied).
    virtual void remove(const std::string& name, const CallOptions& options) = 0;

    // The verbs below throw Error(unsupported) unless capabilities() has them.

    // Sets or extends how long the object cannot be removed. Never shortens.
    virtual void retain(const std::string& name, const Retention& retention, const CallOptions& options);
    virtual std::optional<Retention> retention(const std::string& name, const CallOptions& options);
    // All versions of all objects under `prefix`, newest first within a name.
    virtual void list_versions(const std::string& prefix,
                               const std::function<bool(const ObjectVersion&)>& visit,
                               const CallOptions& options);
    virtual std::optional<Bytes> get_version(const std::string& name, const std::string& version,
                                             ByteRange range, const CallOptions& options);
    virtual void remove_version(const std::string& name, const std::string& version,
                                const CallOptions& options);
    virtual void set_tier(const std::string& name, const std::string& tier, const CallOptions& options);
    virtual ThawResult thaw(const std::string& name, Duration keep, const CallOptions& options);
    // Copies inside the store without passing the bytes through here.
    virtual PutResult copy(const std::string& from, const std::string& to, const PutOptions& put_options,
                           const CallOptions& options);

    // Shorter ways to say the same.
    PutResult put(const std::string& name, ByteView data, const PutOptions& put_options = {},
                  const CallOptions& options = {}) {
        return put(name, std::span<const ByteView>(&data, 1), put_options, options);
    }
    std::vector<ObjectInfo> list_all(const std::string& prefix, const CallOptions& options = {});
};

} // namespace holdfast
