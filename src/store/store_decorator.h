// What all decorators share: a store around a store, with one place through which every call goes.
#pragma once

#include "store/store.h"

#include <array>

namespace holdfast {

enum class StoreVerb {
    put,
    get,
    head,
    list,
    remove,
    retain,
    retention,
    list_versions,
    get_version,
    remove_version,
    set_tier,
    thaw,
    copy,
};
inline constexpr std::size_t store_verb_count = 13;
// "put", "list_versions" …
std::string_view to_string(StoreVerb verb);

// One call on its way through a decorator.
struct StoreCall {
    StoreVerb verb;
    const std::string& name; // of the object, or the prefix of a listing; the source of a copy
    CallOptions options;     // around() may change them before the body runs
    std::uint64_t sent_bytes = 0;
    std::uint64_t received_bytes = 0; // known once the call has returned
};

// Passes every verb on to `inner`, through around(). Thread-safe when around() is.
class StoreDecorator : public Store {
  public:
    explicit StoreDecorator(std::shared_ptr<Store> inner) : inner_(std::move(inner)) {}

    using Store::put;
    std::string url() const override { return inner_->url(); }
    StoreCapabilities capabilities() const override { return inner_->capabilities(); }
    PutResult put(const std::string& name, std::span<const ByteView> parts, const PutOptions& put_options,
                  const CallOptions& options) override;
    std::optional<Bytes> get(const std::string& name, ByteRange range, const CallOptions& options) override;
    std::optional<ObjectInfo> head(const std::string& name, const CallOptions& options) override;
    void list(const std::string& prefix, const std::string& after,
              const std::function<bool(const ObjectInfo&)>& visit, const CallOptions& options) override;
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

  protected:
    Store& inner() const { return *inner_; }
    // Runs `body`, which makes the call on the inner store, as often as it likes. What `body` throws is the
    // call's failure, or what a visitor of a listing threw.
    virtual void around(StoreCall& call, const std::function<void()>& body) = 0;

  private:
    std::shared_ptr<Store> inner_;
};

std::uint64_t total_size(std::span<const ByteView> parts);

} // namespace holdfast
